import { basename } from "node:path";
import { InputError } from "../errors.js";
import {
  createTraceWriter,
  EventKind,
  type Trace,
  type TraceHeaderInput,
  type TraceSink,
} from "../loader/index.js";
import { type CopyPlan, type CoreState, copyStream, DictionaryCopier, symbolsOf } from "./copy.js";
import type { StreamRange } from "./range.js";
import type { ToolProgress } from "./validate.js";

/** What became of a slice. */
export interface SliceReport {
  path: string;
  warmInvocations: number;
  measuredInvocations: number;
  cores: { core: number; blockExecutions: number; from: number; to: number }[];
  /** IdleEnd events whose wake-up came from outside the slice: they keep their duration and lose their source. */
  wakesCut: number;
}

/** Cuts invocations first..last out, of all cores, renumbered from 0. @param warm how many only warm up */
export function sliceInvocations(
  trace: Trace,
  path: string,
  [first, last]: readonly [first: number, last: number],
  warm: number | undefined,
  progress?: ToolProgress,
): SliceReport {
  const count = last - first + 1;
  const spans = trace.cores.map(({ invocations }) => ({
    from: invocations[first].begin,
    to: invocations[last].end,
  }));
  const kept = Math.max(0, trace.header.warmInvocations - first);
  const warmInvocations = warm ?? (kept < count ? kept : 0);
  if (warmInvocations > count)
    throw new InputError(`trace slice: ${warmInvocations} of ${count} invocations cannot be warm-up`);
  const which = first === last ? `invocation ${first}` : `invocations ${first} to ${last}`;
  const header = sliceHeader(trace, warmInvocations, count - warmInvocations, which);
  return write(trace, path, header, spans, progress, (core, sink, cut) => {
    let open = false;
    return {
      end: spans[core].to,
      copies: () => open,
      event(kind, a, b, c, _position, state) {
        if (kind === EventKind.WorkBegin && a === first) {
          open = true;
          announce(sink, core, state);
        }
        if (!open) return undefined;
        if (kind === EventKind.WorkEnd && a === last) open = false;
        if (kind === EventKind.WorkBegin || kind === EventKind.WorkEnd) return [kind, a - first, b, c];
        return kind === EventKind.IdleEnd ? [kind, ...cut(a, b), c] : [kind, a, b, c];
      },
    };
  });
}

/** Cuts positions out of one core's stream, as one measured invocation; the other cores do nothing. */
export function slicePositions(
  trace: Trace,
  path: string,
  range: StreamRange,
  progress?: ToolProgress,
): SliceReport {
  if (range.from >= range.to) throw new InputError("trace slice: there is nothing between these positions");
  const spans = trace.cores.map((_, core) => (core === range.core ? range : { from: 0, to: 0 }));
  const which = `positions ${range.from} to ${range.to} of core ${range.core} as one invocation, other cores left out`;
  const header = sliceHeader(trace, 0, 1, which);
  return write(trace, path, header, spans, progress, (core, sink, cut) => {
    if (core !== range.core) {
      sink.event(core, EventKind.WorkBegin, 0, 0, 0);
      sink.event(core, EventKind.WorkEnd, 0, 0, 0);
      return undefined;
    }
    let begun = false;
    return {
      end: range.to,
      copies: (position) => position >= range.from,
      begin(state) {
        if (!begun) announce(sink, core, state);
        if (!begun) sink.event(core, EventKind.WorkBegin, 0, 0, 0);
        begun = true;
      },
      finish: () => sink.event(core, EventKind.WorkEnd, 0, 0, 0),
      event(kind, a, b, c, position) {
        // Events before the first execution are in the state that `begin` announces.
        if (!begun || position >= range.to) return undefined;
        if (kind === EventKind.WorkBegin || kind === EventKind.WorkEnd) return undefined;
        return kind === EventKind.IdleEnd ? [kind, ...cut(a, b), c] : [kind, a, b, c];
      },
    };
  });
}

interface SlicePlan extends CopyPlan {
  /** Called when all is copied. */
  finish?(): void;
}

type Cut = (waker: number, position: number) => [a: number, b: number];

function write(
  trace: Trace,
  path: string,
  header: TraceHeaderInput,
  spans: readonly { from: number; to: number }[],
  progress: ToolProgress | undefined,
  plan: (core: number, sink: TraceSink, cut: Cut) => SlicePlan | undefined,
): SliceReport {
  const sink = createTraceWriter(path, header);
  try {
    const dictionary = new DictionaryCopier(trace, sink);
    let wakesCut = 0;
    const cut: Cut = (waker, position) => {
      if (waker < 0) return [waker, position];
      const { from, to } = spans[waker];
      if (position > from && position <= to) return [waker, position - from];
      wakesCut++;
      return [-1, 0];
    };
    const all = spans.reduce((sum, { to }) => sum + to, 0);
    let before = 0;
    spans.forEach(({ to }, core) => {
      const steps = plan(core, sink, cut);
      if (steps !== undefined) {
        copyStream(trace, core, sink, dictionary, steps, (done) =>
          progress?.(before + Math.min(done, to), all),
        );
        steps.finish?.();
      }
      before += to;
    });
    const { objects, symbols } = symbolsOf(trace, dictionary.spaces);
    if (symbols.length > 0) sink.symbols(objects, symbols);
    const cores = spans.map(({ from, to }, core) => ({
      core,
      blockExecutions: sink.position(core),
      from,
      to,
    }));
    sink.close();
    const { warmInvocations, measuredInvocations } = header;
    return { path, warmInvocations, measuredInvocations, cores, wakesCut };
  } catch (error) {
    sink.abort();
    throw error;
  }
}

/** Says at a slice's start what the core was doing. */
function announce(sink: TraceSink, core: number, { task, phase, idle }: CoreState): void {
  if (task !== undefined) sink.event(core, EventKind.Switch, ...task);
  if (phase !== undefined) sink.event(core, EventKind.Phase, phase, 0, 0);
  if (idle) sink.event(core, EventKind.IdleBegin, 0, 0, 0);
}

function sliceHeader(trace: Trace, warm: number, measured: number, which: string): TraceHeaderInput {
  const { formatVersion: _, ...header } = trace.header;
  const { provenance } = header;
  const note = `slice: ${which}, of ${basename(trace.path)} (SHA-256 ${trace.sha256})`;
  return {
    ...header,
    warmInvocations: warm,
    measuredInvocations: measured,
    provenance: { ...provenance, notes: [...(provenance.notes ?? []), note] },
  };
}
