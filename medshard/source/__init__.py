"""What lies on disk, as Arrow tables: one row a file, CSV row, XML element or DICOM header. No pixels."""
