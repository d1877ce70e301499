// The address of the page and the history of views: those of the browser, or of a host without an address.

export interface AddressBar {
  /** The query and the fragment, as in `location`. */
  readonly search: string
  readonly hash: string
  /** What was written with the present address. */
  readonly state: unknown
  /** Write the address of a view; "push" makes it a step of the history. */
  write: (how: 'push' | 'replace', state: unknown, address: string) => void
  /** Go some steps of the history forward, or back. */
  travel: (steps: number) => void
  /** Call a function after each step of the history that `travel` or the reader made. Returns a function that stops. */
  follow: (listener: () => void) => () => void
  /** Return the link to an address; empty if other windows cannot open one. */
  link: (address: string) => string
}

const browser: AddressBar = {
  get search() {
    return location.search
  },
  get hash() {
    return location.hash
  },
  get state() {
    return history.state as unknown
  },
  write: (how, state, address) => history[`${how}State`](state, '', address || location.pathname),
  travel: (steps) => history.go(steps),
  follow(listener) {
    addEventListener('popstate', listener)
    return () => removeEventListener('popstate', listener)
  },
  link: (address) => new URL(address || location.pathname, location.href).href,
}

/** `now` is chosen before the page is shown. */
export const addressBar = { now: browser }
