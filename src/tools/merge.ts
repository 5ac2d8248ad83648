import { basename } from "node:path";
import { InputError } from "../errors.js";
import {
  createTraceWriter,
  EventKind,
  type Trace,
  type TraceHeader,
  type TraceHeaderInput,
  type TraceSink,
} from "../loader/index.js";
import { type CoreState, copyStream, DictionaryCopier, symbolsOf } from "./copy.js";
import type { ToolProgress } from "./validate.js";

/** What became of a merge. */
export interface MergeReport {
  path: string;
  warmInvocations: number;
  measuredInvocations: number;
  cores: { core: number; blockExecutions: number }[];
}

/**
 * Puts slices of one capture one behind the other: invocations are numbered on, wake-ups stay within their
 * piece, and where two pieces meet a Switch event says what each core goes on with.
 * @param warm how many invocations only warm up; default: those of the first piece
 */
export function mergeTraces(
  traces: readonly Trace[],
  path: string,
  warm: number | undefined,
  progress?: ToolProgress,
): MergeReport {
  const header = mergedHeader(traces, warm);
  const sink = createTraceWriter(path, header);
  try {
    const spaces = new Set<number>();
    const state: CoreState[] = traces[0].cores.map(() => ({
      task: undefined,
      phase: undefined,
      idle: false,
    }));
    const all = traces.reduce((sum, trace) => sum + executions(trace), 0);
    let before = 0;
    let invocations = 0;
    for (const trace of traces) {
      appendPiece(trace, sink, invocations, state, spaces, (done) => progress?.(before + done, all));
      invocations += trace.cores[0].invocations.length;
      before += executions(trace);
    }
    const { objects, symbols } = symbolsOf(traces[0], spaces);
    if (symbols.length > 0) sink.symbols(objects, symbols);
    const cores = state.map((_, core) => ({ core, blockExecutions: sink.position(core) }));
    sink.close();
    const { warmInvocations, measuredInvocations } = header;
    return { path, warmInvocations, measuredInvocations, cores };
  } catch (error) {
    sink.abort();
    throw error;
  }
}

const executions = (trace: Trace): number => trace.cores.reduce((sum, core) => sum + core.blockExecutions, 0);

function appendPiece(
  trace: Trace,
  sink: TraceSink,
  invocations: number,
  state: CoreState[],
  spaces: Set<number>,
  progress: (done: number) => void,
): void {
  const dictionary = new DictionaryCopier(trace, sink);
  const base = trace.cores.map((_, core) => sink.position(core));
  let before = 0;
  trace.cores.forEach(({ blockExecutions }, core) => {
    const last = state[core];
    const isFirst = base[core] === 0;
    if (last.idle !== startsIdle(trace, core) && !isFirst) {
      if (last.idle) sink.event(core, EventKind.IdleEnd, -1, 0, 0);
      else sink.event(core, EventKind.IdleBegin, 0, 0, 0);
    }
    const now = copyStream(
      trace,
      core,
      sink,
      dictionary,
      {
        end: blockExecutions,
        copies: () => true,
        event(kind, a, b, c) {
          if (kind === EventKind.WorkBegin || kind === EventKind.WorkEnd)
            return [kind, a + invocations, b, c];
          if (kind === EventKind.IdleEnd && a >= 0) return [kind, a, b + base[a], c];
          return [kind, a, b, c];
        },
        begin({ task }, block) {
          if (isFirst || task !== undefined) return;
          const asid = trace.pages.asid[trace.blocks.page[block]];
          sink.event(core, EventKind.Switch, ...(last.task ?? [0, 0, asid]));
        },
      },
      (done) => progress(before + done),
    );
    state[core] = { task: now.task ?? last.task, phase: now.phase ?? last.phase, idle: now.idle };
    before += blockExecutions;
  });
  for (const space of dictionary.spaces) spaces.add(space);
}

/** Whether the first idle event of a stream is an IdleEnd. */
function startsIdle(trace: Trace, core: number): boolean {
  const stream = trace.stream(core);
  while (stream.next()) {
    for (let i = 0; i < stream.eventCount; i++) {
      if (stream.eventKind[i] === EventKind.IdleBegin) return false;
      if (stream.eventKind[i] === EventKind.IdleEnd) return true;
    }
  }
  return false;
}

function mergedHeader(traces: readonly Trace[], warm: number | undefined): TraceHeaderInput {
  const { formatVersion: _, ...first } = traces[0].header;
  const identity = captureOf(traces[0].header);
  for (const trace of traces.slice(1)) {
    if (captureOf(trace.header) !== identity) {
      throw new InputError(
        `${trace.path}: not of the same capture as ${traces[0].path}; trace merge joins slices of one capture only`,
      );
    }
  }
  const count = traces.reduce((sum, trace) => sum + trace.cores[0].invocations.length, 0);
  const warmInvocations = warm ?? first.warmInvocations;
  if (warmInvocations > count)
    throw new InputError(`trace merge: ${warmInvocations} of ${count} invocations cannot be warm-up`);
  const notes = traces.flatMap(({ path, sha256, header }) => [
    `merge: ${basename(path)} (SHA-256 ${sha256})`,
    ...(header.provenance.notes ?? [])
      .filter((note) => note.startsWith("slice: "))
      .map((note) => `  ${note}`),
  ]);
  const common = (first.provenance.notes ?? []).filter((note) => !note.startsWith("slice: "));
  return {
    ...first,
    warmInvocations,
    measuredInvocations: count - warmInvocations,
    provenance: { ...first.provenance, notes: [...common, ...notes] },
  };
}

/** What is the same in all slices of a capture, as text. */
function captureOf(header: TraceHeader): string {
  const { warmInvocations: _w, measuredInvocations: _m, provenance, tasks: _t, ...rest } = header;
  const { notes: _n, ...made } = provenance;
  return JSON.stringify({ ...rest, made });
}
