import { InputError } from "../errors.js";
import type { Trace } from "../loader/index.js";

/** A part of one core's stream: block executions [from, to). */
export interface StreamRange {
  core: number;
  from: number;
  to: number;
  /** The invocations that it consists of, when it was asked for by them. */
  invocations?: readonly [first: number, last: number];
}

/** What a user may say of a range. */
export interface RangeRequest {
  /** Default: the core of the function. */
  core?: number;
  from?: number;
  count?: number;
  /** "3" or "3..7", both ends included. */
  invocations?: string;
}

/** @param defaultCount block executions when nothing says how many; undefined: to the end */
export function streamRange(trace: Trace, request: RangeRequest, defaultCount?: number): StreamRange {
  const core = request.core ?? trace.header.functionCore;
  if (core >= trace.cores.length) {
    throw new InputError(
      `${trace.path}: no core ${core}, the trace has ${trace.cores.length === 1 ? "core 0 only" : `cores 0 to ${trace.cores.length - 1}`}`,
    );
  }
  const { blockExecutions, invocations } = trace.cores[core];
  let { from } = request;
  let end = blockExecutions;
  let count = request.count ?? defaultCount;
  let asked: readonly [number, number] | undefined;
  if (request.invocations !== undefined) {
    if (from !== undefined) throw new InputError("--from and an invocation exclude each other");
    asked = invocationRange(trace, request.invocations);
    from = invocations[asked[0]].begin;
    end = invocations[asked[1]].end;
    count = request.count;
  }
  from ??= 0;
  if (from > blockExecutions)
    throw new InputError(
      `${trace.path}: core ${core} has no position ${from}, its last is ${blockExecutions}`,
    );
  const to = count === undefined ? end : Math.min(end, from + count);
  return asked === undefined ? { core, from, to } : { core, from, to, invocations: asked };
}

/** Takes "3" or "3..7" apart and looks whether the trace has them. */
export function invocationRange(trace: Trace, text: string): [first: number, last: number] {
  const match = /^(\d+)(?:\.\.(\d+))?$/.exec(text);
  if (match === null) throw new InputError(`"${text}" is no range of invocations: say 3, or 3..7 for 3 to 7`);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first > last) throw new InputError(`invocations ${text}: the first comes after the last`);
  const count = trace.cores[0].invocations.length;
  if (last >= count) {
    throw new InputError(
      `${trace.path}: no invocation ${last}, ${count === 0 ? "the trace has none" : `the last is ${count - 1}`}`,
    );
  }
  return [first, last];
}
