import { useState } from "react";
import { Button } from "./button";

/** Chosen once, kept for the next visit; until then the system's choice holds (public/theme.js). */
export function ThemeToggle() {
  const [isDark, setDark] = useState(() => document.documentElement.classList.contains("dark"));
  const toggle = () => {
    document.documentElement.classList.toggle("dark", !isDark);
    localStorage.setItem("theme", isDark ? "light" : "dark");
    setDark(!isDark);
  };
  return <Button onClick={toggle}>{isDark ? "Light theme" : "Dark theme"}</Button>;
}
