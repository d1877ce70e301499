// State that lives longer than the component that asks for it first.

/** Return what `make` makes; what it derives goes on after the component that is being made is gone. */
export function lasting<T>(make: () => T): T {
  let made: { value: T } | null = null
  // Outside of a page there are no effects, and nothing is called.
  $effect.root(() => void (made = { value: make() }))
  return (made as { value: T } | null)?.value ?? make()
}
