interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
  required?: boolean;
  type?: "text" | "number" | "datetime-local";
  /** Of a number. */
  min?: number;
  max?: number;
  /** Between the numbers that are allowed; without it they are whole. */
  step?: number | "any";
}

export function Field({ label, value, onChange, type = "text", ...rest }: Props) {
  return (
    <label className="flex flex-col gap-1">
      {label}
      <input
        type={type}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        {...rest}
        className="rounded-md border border-line bg-ground px-3 py-1.5 text-text"
      />
    </label>
  );
}
