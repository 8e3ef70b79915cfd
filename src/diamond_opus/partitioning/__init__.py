"""Partitioning: pure functions that cut an inventory into balanced price ranges by real counts."""

from diamond_opus.partitioning.density import DensityCell, DensityMap, Reconciliation, reconcile
from diamond_opus.partitioning.plan import PlannedPartition, plan_partitions
from diamond_opus.partitioning.reading import Dimension, ReadDeep, Split, children_cover, split_for_reading
from diamond_opus.partitioning.scan import DensityScan
from diamond_opus.partitioning.settings import HeatmapSettings

__all__ = [
    "DensityCell",
    "DensityMap",
    "DensityScan",
    "Dimension",
    "HeatmapSettings",
    "PlannedPartition",
    "ReadDeep",
    "Reconciliation",
    "Split",
    "children_cover",
    "plan_partitions",
    "reconcile",
    "split_for_reading",
]
