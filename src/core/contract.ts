import type { CorePort } from "../cache/contract.js";
import type { CoreStream } from "../loader/contract.js";

/** Why `run` came back. */
export const RunStatus = {
  /** The next thing to do lies beyond the horizon: `time` says when. */
  Blocked: 0,
  /** All block executions before an event that the system handles (WorkBegin, WorkEnd, IdleBegin, IdleEnd) are committed; `event` says which. Call `takeEvent` to go on. */
  Event: 1,
  /** `stopPosition` block executions are committed. */
  Position: 2,
  /** The stream is at its end and all is committed. */
  End: 3,
} as const;
export type RunStatus = (typeof RunStatus)[keyof typeof RunStatus];

/** What a flush throws away; `partial` protocols name only some. */
export interface CoreFlush {
  tlb: boolean;
  predictor: boolean;
}

/**
 * One simulated core, stepped by the scheduler (src/machine). It takes its instructions from a stream,
 * its memory from a port. Switch, Interrupt and Phase events it handles itself.
 */
export interface Core {
  readonly id: number;
  /**
   * Lower bound of the time of its next access beyond its L1s, in cycles. Never decreases.
   * After Event or End: the cycle by which all before is committed.
   */
  readonly time: number;
  /** Cycle by which `position` block executions were committed. What they left behind may be done later. */
  readonly committedAt: number;
  /** Block executions committed since the stream was attached. */
  readonly position: number;
  /** Run stops with Position when this many block executions are committed. Infinity: never. */
  stopPosition: number;
  readonly port: CorePort;
  attach(stream: CoreStream): void;
  /** Runs while its accesses beyond the L1s lie at or before `port.horizon`. */
  run(): RunStatus;
  /** After Event: kind and operands. */
  readonly eventKind: number;
  readonly eventA: number;
  readonly eventB: number;
  readonly eventC: number;
  /** Goes past the event. The core goes on no earlier than cycle `now`; cycles up to there count as idle when `idle`, as synchronisation otherwise. */
  takeEvent(now: number, idle: boolean): void;
  flush(what: CoreFlush): void;
  /** Called when the running container on this core changes: (container id, task id, asid, now). Set by the machine. */
  onSwitch: ((container: number, task: number, asid: number, now: number) => void) | undefined;
}
