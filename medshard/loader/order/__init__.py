"""The global sequence of items: a pure function of (order digest, seed, position), exact for any ranks and workers."""

from medshard.loader.order.order import BatchPlan, Order, OrderConfig, rank_slice
from medshard.loader.order.source import Source
from medshard.loader.order.state import OrderState

__all__ = ["BatchPlan", "Order", "OrderConfig", "OrderState", "Source", "rank_slice"]
