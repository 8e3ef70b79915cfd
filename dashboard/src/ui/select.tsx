interface Props<Option extends string> {
  label: string;
  options: readonly Option[];
  value: Option;
  onChange: (value: Option) => void;
  /** How an option reads, where it is not its own word. */
  wordOf?: (option: Option) => string;
}

/** One of a few; Choice is for one of a few, or any. */
export function Select<Option extends string>({ label, options, value, onChange, wordOf }: Props<Option>) {
  return (
    <label className="flex max-w-full items-center gap-2">
      <span className="text-muted">{label}</span>
      <select
        value={value}
        onChange={(event) => onChange(event.target.value as Option)}
        className="min-h-8 min-w-0 rounded-md border border-line bg-surface px-2 py-1"
      >
        {options.map((option) => (
          <option key={option} value={option}>
            {wordOf?.(option) ?? option}
          </option>
        ))}
      </select>
    </label>
  );
}
