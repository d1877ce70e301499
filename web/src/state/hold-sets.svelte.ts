// Named sets of holds: those of the address, and those that this browser remembers of the run.
import type { HoldSet, ViewState } from '../data/view'
import { MAX_SETS, parseSet, setText } from './hold-address'
import { hasHeld } from './link-check'
import type { Loader } from './loader.svelte'
import type { Navigation } from './navigation.svelte'
import { remember, remembered } from '../messages/remembered'

const keyOf = (run: string): string => `gatescope-holds-${run}`

/** Return the sets that this browser remembers of a run. */
function storedSets(run: string): HoldSet[] {
  try {
    const parts: unknown = JSON.parse(remembered(keyOf(run)) ?? '[]')
    return Array.isArray(parts) ? parts.flatMap((part) => parseSet(String(part)) ?? []).slice(0, MAX_SETS) : []
  } catch {
    return []
  }
}

export class HoldSets {
  /** Grows when the remembered sets change. */
  #changes = $state(0)
  /** The sets that were saved on this page, which Back and Forward forget and remember. */
  readonly #saved = new Set<string>()

  constructor(
    private readonly navigation: Navigation,
    private readonly loader: Loader,
  ) {}

  /** All sets of the run: those of the address, then the other remembered ones. */
  all = $derived.by<readonly HoldSet[]>(() => {
    void this.#changes
    const { run } = this.loader
    const { sets } = this.navigation.state
    if (!run) return sets
    const others = storedSets(run.name).filter(
      ({ name, holds }) => !sets.some((set) => set.name === name) && holds.every((hold) => hasHeld(run, hold)),
    )
    return [...sets, ...others]
  })
  /** The set whose holds are those of the view; null if there is none. */
  current = $derived.by<HoldSet | null>(() => {
    const holds = JSON.stringify(this.navigation.state.holds)
    return this.all.find((set) => JSON.stringify(set.holds) === holds) ?? null
  })
  /** Whether another set can be saved. */
  hasRoom = $derived.by(() => this.all.length < MAX_SETS)

  /** Save the holds of the view under the first letter that is free. */
  save(): void {
    const { holds } = this.navigation.state
    const letters = [...Array(26).keys()].map((k) => String.fromCharCode(65 + k))
    const name = letters.find((letter) => !this.all.some((set) => set.name === letter)) ?? letters[0]!
    if (!holds.length || !this.hasRoom) return
    this.#saved.add(name)
    this.#change([...this.navigation.state.sets, { name, holds }])
  }

  /** Forget a set whose saving was undone, and remember one whose saving was redone. */
  followHistory(before: ViewState): void {
    const { run, sets } = this.navigation.state
    if (run === null || run !== before.run) return
    for (const name of this.#saved) {
      const [was, is] = [before.sets, sets].map((all) => all.some((set) => set.name === name))
      if (was !== is) this.#remember(run, sets, name)
    }
  }

  /** Hold what a set holds. */
  use(set: HoldSet): void {
    this.navigation.go({ holds: set.holds, sets: this.#withSet(set) })
  }

  /** Compare the holds with a set, or no longer. */
  compare(set: HoldSet): void {
    const against = this.navigation.state.against === set.name ? null : set.name
    this.navigation.go({ against, sets: this.#withSet(set) })
  }

  /** Give a set another name. Returns whether the name can be had. */
  rename(set: HoldSet, name: string): boolean {
    const renamed = parseSet(setText({ ...set, name: name.trim() }))
    if (!renamed || this.all.some((other) => other.name === renamed.name && other.name !== set.name)) return false
    const { against } = this.navigation.state
    const sets = this.#withSet(set).map((other) => (other.name === set.name ? renamed : other))
    this.#change(sets, { against: against === set.name ? renamed.name : against }, set.name)
    return true
  }

  remove(set: HoldSet): void {
    const { sets, against } = this.navigation.state
    const others = sets.filter(({ name }) => name !== set.name)
    this.#change(others, { against: against === set.name ? null : against }, set.name)
  }

  #withSet(set: HoldSet): readonly HoldSet[] {
    const { sets } = this.navigation.state
    if (sets.some(({ name }) => name === set.name)) return sets
    // It was remembered before it came into the address.
    this.#saved.delete(set.name)
    return [...sets, set]
  }

  /** Change the sets of the address, and remember them; `gone` is the name of a set that is no more. */
  #change(sets: readonly HoldSet[], change: { against?: string | null } = {}, gone: string | null = null): void {
    const run = this.loader.run?.name
    if (run !== undefined) this.#remember(run, sets, gone)
    this.navigation.go({ sets, ...change })
  }

  #remember(run: string, sets: readonly HoldSet[], gone: string | null): void {
    const isOther = ({ name }: HoldSet): boolean => name !== gone && !sets.some((set) => set.name === name)
    remember(keyOf(run), JSON.stringify([...sets, ...storedSets(run).filter(isOther)].slice(0, MAX_SETS).map(setText)))
    this.#changes++
  }
}
