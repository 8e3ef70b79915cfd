/** Rows as RFC 4180 has them, for a spreadsheet. */
export function toCsv(columns: string[], rows: Record<string, unknown>[]): string {
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
  return lines.map((line) => `${line.map(cellOf).join(",")}\r\n`).join("");
}

/** Text that a spreadsheet would take for a formula is led by an apostrophe: some of it comes from vendors. */
function cellOf(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  const isFormula = /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text));
  const safe = isFormula ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
