"""MedQuAD: one sample per QAPair; key: <folder>/<file>.xml#<pid>.

Texts are stripped at both ends, inner blanks as in the XML. Two documents use another
vocabulary (<doc>, <pair>, <question>): counted in left_out, not samples.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from pathlib import Path

from .expected import Expected, ExpectedSample, Label, label


def expected(root: Path) -> Expected:
    counts, samples, left_out = Counter(), {}, Counter()
    documents, questions = defaultdict(set), Counter()
    for path in sorted(root.rglob("*.xml")):
        folder, tree = path.parent.name, ET.parse(path).getroot()
        counts[f"files.{folder}"] += 1
        counts[f"root.{tree.tag}"] += 1
        left_out["pairs_of_another_vocabulary"] += len(list(tree.iter("pair")))
        identity = tree.get("id") or tree.get("fid") or tree.get("docid")
        documents[identity].add(folder)
        counts["files_without_focus"] += not (tree.findtext("Focus") or "").strip()
        for pair in tree.iter("QAPair"):
            question, answer = pair.findtext("Question") or "", pair.findtext("Answer") or ""
            sample = ExpectedSample(group=identity, qa=[(question.strip(), answer.strip())])
            sample.labels["qtype"] = Label(pair.find("Question").get("qtype"))
            sample.labels["focus"] = label(tree.findtext("Focus"))
            sample.texts = {"source": tree.get("source", ""), "url": tree.get("url", "")}
            counts[f"qa.{folder}"] += 1
            counts[f"empty_answers.{folder}"] += not answer.strip()
            counts["empty_questions"] += not question.strip()
            counts["answers_with_outer_spaces"] += answer != answer.strip()
            counts["answers_with_line_breaks"] += "\n" in answer.strip()
            counts["answers_under_20_characters"] += 0 < len(answer.strip()) < 20
            counts["questions_with_blank_before_mark"] += " ?" in question
            counts["questions_with_two_marks"] += question.count("?") > 1
            questions[question.strip()] += 1
            samples[f"{path.relative_to(root).as_posix()}#{pair.get('pid')}"] = sample
    counts["qa"] = len(samples)
    counts["questions_repeated"] = sum(n > 1 for n in questions.values())
    counts["document_ids_in_several_folders"] = sum(len(folders) > 1 for folders in documents.values())
    left_out["empty_answers"] = sum(not s.qa[0][1] for s in samples.values())
    return Expected(samples, dict(counts), dict(left_out))
