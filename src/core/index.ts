import type { CoreBase, CoreParts } from "./core-base.js";
import { PipelineCore } from "./pipeline-core.js";
import { TimingCore } from "./timing-core.js";

export { type Core, type CoreFlush, RunStatus } from "./contract.js";
export { CoreBase, type CoreParts } from "./core-base.js";
export { PageTables } from "./page-tables.js";
export { PipelineCore } from "./pipeline-core.js";
export { TimingCore } from "./timing-core.js";
export { Translation } from "./translation.js";

/** Makes core `id` of a machine: the model that `spec.core.model` names. */
export function createCore(id: number, parts: CoreParts): CoreBase {
  return parts.spec.core.model === "timing" ? new TimingCore(id, parts) : new PipelineCore(id, parts);
}
