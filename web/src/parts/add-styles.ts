// The styles of later parts, which web/styles.ts puts into their scripts.

const added = new Set<string>()

/** Adopt the styles of a component, unless they are there. */
export function addStyles({ hash, code }: { hash: string; code: string }): void {
  if (added.has(hash)) return
  added.add(hash)
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(code)
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
}
