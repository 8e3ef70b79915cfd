interface Props<Option extends string> {
  label: string;
  options: readonly Option[];
  value: Option | undefined;
  /** What stands for a choice of several, which came with the address. */
  several?: string;
  /** What no choice means. */
  any?: string;
  onChange: (value: Option | undefined) => void;
}

const SEVERAL = "*";

/** One of a few, or any. */
export function Choice<Option extends string>(props: Props<Option>) {
  const { label, options, value, several, any = "any", onChange } = props;
  // What came with the address is shown, also when nothing has it any more.
  const shown = value === undefined || options.includes(value) ? options : [...options, value];
  return (
    <label className="flex items-center gap-2">
      <span className="text-muted">{label}</span>
      <select
        value={several === undefined ? (value ?? "") : SEVERAL}
        onChange={(event) => onChange(shown.find((option) => option === event.target.value))}
        className="min-h-8 rounded-md border border-line bg-surface px-2 py-1"
      >
        <option value="">{any}</option>
        {several !== undefined && <option value={SEVERAL}>{several}</option>}
        {shown.map((option) => (
          <option key={option}>{option}</option>
        ))}
      </select>
    </label>
  );
}
