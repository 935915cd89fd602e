(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("script");
  let kept = null;
  try { kept = localStorage.getItem("withstand-theme"); } catch { kept = null; }
  const asked = location.hash.slice(1);
  const theme = ["dark", "light"].includes(asked) ? asked : kept;
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
})();
