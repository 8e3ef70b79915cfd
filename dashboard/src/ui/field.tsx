interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
  required?: boolean;
  type?: "text" | "number" | "datetime-local";
  /** A number that need not be whole. */
  step?: "any";
}

export function Field({ label, value, onChange, required, type = "text", step }: Props) {
  return (
    <label className="flex flex-col gap-1">
      {label}
      <input
        type={type}
        step={step}
        value={value}
        required={required}
        onChange={(event) => onChange(event.target.value)}
        className="rounded-md border border-line bg-ground px-3 py-1.5 text-text"
      />
    </label>
  );
}
