import Table from "cli-table3";

const NO_LINES = Object.fromEntries(
  [
    ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"],
    ...["left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
  ].map((name) => [name, ""]),
);

/** A plain table: first column left-aligned, the others right, two blanks between; no trailing blanks. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const table = new Table({
    chars: { ...NO_LINES, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: rows[0].map((_, i) => (i === 0 ? "left" : "right")),
  });
  table.push(...rows.map((row) => [...row]));
  const lines = table.toString().split("\n");
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

/** "1,234,567", rounded. */
export function whole(value: number): string {
  return decimals(value, 0);
}

/** "1,234.50"; "-" for what has no value. */
export function decimals(value: number | undefined, digits: number): string {
  if (value === undefined || !Number.isFinite(value)) return "-";
  const [integer, fraction] = Math.abs(value).toFixed(digits).split(".");
  const grouped = integer.replaceAll(/\B(?=(\d{3})+$)/g, ",");
  const negative = value < 0 && Number(value.toFixed(digits)) !== 0;
  return `${negative ? "-" : ""}${grouped}${fraction === undefined ? "" : `.${fraction}`}`;
}

/** A ratio in per cent: "12.3". */
export function percent(value: number | undefined): string {
  return decimals(value === undefined ? undefined : value * 100, 1);
}

/** The same with its sign: "+12.3", "-0.5", "0.0". */
export function signedPercent(value: number | undefined): string {
  const text = percent(value);
  return value !== undefined && Number(text.replaceAll(",", "")) > 0 ? `+${text}` : text;
}
