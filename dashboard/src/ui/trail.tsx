import { Link } from "@tanstack/react-router";

interface Props {
  to: "/diamonds" | "/rejected" | "/runs";
  label: string;
  id: string;
}

/** The list that a thing belongs to, and the thing. */
export function Trail({ to, label, id }: Props) {
  return (
    <nav aria-label="Where this is" className="text-muted">
      <Link to={to} className="text-accent underline">
        {label}
      </Link>{" "}
      / <code className="break-all">{id}</code>
    </nav>
  );
}
