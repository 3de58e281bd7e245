/** Lays rows out in columns, two spaces apart. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const unitStep = 1024;

/** `64 MiB`. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= unitStep && unit < units.length - 1) {
    amount /= unitStep;
    unit += 1;
  }
  return `${Number.isInteger(amount) ? String(amount) : amount.toFixed(1)} ${units[unit] ?? ''}`;
}

const secondMs = 1000;
const secondsPerMinute = 60;
const minutesPerHour = 60;
const secondsPerHour = secondsPerMinute * minutesPerHour;
const minuteMs = secondsPerMinute * secondMs;

/** `2 min 5 s`; at most two units. */
export function formatDuration(ms: number): string {
  if (ms < secondMs) return `${String(Math.round(ms))} ms`;
  if (ms < minuteMs) return `${(ms / secondMs).toFixed(1)} s`;
  const seconds = Math.round(ms / secondMs);
  if (seconds < secondsPerHour) return `${String(Math.floor(seconds / secondsPerMinute))} min ${String(seconds % secondsPerMinute)} s`;
  const minutes = Math.round(ms / minuteMs);
  return `${String(Math.floor(minutes / minutesPerHour))} h ${String(minutes % minutesPerHour)} min`;
}
