"""The twin: the pipeline of a Plan as a discrete-event model, which emits the RunRecords that a real run would.

arrays       the twin on its own, for studies of queues: `harness.twin.simulate`
pipeline     what the models take: stations, due times, service times; what happens at the same instant
model        the simpy model: the description of how the pipeline behaves (simpy is imported only there)
compiled     the same in numba, equal to the nanosecond: `recursion` where nobody can overtake, else `events`
services     where simulated service times come from
service_profile  service times, hops and turnarounds of a measured run; `pooling`: of several
replay       a measured run again, with its own due times and service times

Imports the plan and what lies below it; commands and studies import the twin.
"""

from harness.twin.arrays import NEVER, Stamps, simulate
from harness.twin.pipeline import Demand, Overhead, Pipeline, Station, of_plan

__all__ = ["NEVER", "Demand", "Overhead", "Pipeline", "Stamps", "Station", "of_plan", "simulate"]
