// The steps of the browser's history, with a browser that moves only when a test lets it.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ViewState } from '../../src/data/view'
import { Navigation } from '../../src/state/navigation.svelte'

const START = '?view=network&run=counter&text=ab'

/** A browser that has one page open, and whose history moves later than it is called. */
class FakeBrowser {
  entries: { address: string; state: unknown }[] = [{ address: START, state: null }]
  index = 0
  /** The moves that are not done yet. */
  moves: number[] = []
  readonly listeners = new Map<string, () => void>()
  readonly location = { search: START, hash: '', pathname: '/' }

  constructor() {
    const go = (steps: number): void => void this.moves.push(steps)
    const write = (index: number, address: string, state: unknown): void => {
      this.entries = [...this.entries.slice(0, index), { address, state }, ...this.rest(index)]
      this.#show(index)
    }
    vi.stubGlobal('location', this.location)
    vi.stubGlobal('scrollTo', () => {})
    vi.stubGlobal('addEventListener', (name: string, listener: () => void) => this.listeners.set(name, listener))
    vi.stubGlobal('removeEventListener', (name: string) => this.listeners.delete(name))
    // The state of the history is read anew each time.
    const state = (): unknown => this.entries[this.index]!.state
    vi.stubGlobal('history', {
      get state() {
        return state()
      },
      go,
      back: () => go(-1),
      forward: () => go(1),
      pushState: (state: unknown, _: string, address: string) => {
        this.entries.length = this.index + 1
        write(this.index + 1, address, state)
      },
      replaceState: (state: unknown, _: string, address: string) => write(this.index, address, state),
    })
  }

  /** Do the next move, as a browser does: a move to a step that does not exist changes nothing and reports nothing. */
  move(): void {
    const next = this.index + (this.moves.shift() ?? 0)
    if (!this.entries[next]) return
    this.#show(next)
    this.listeners.get('popstate')?.()
  }

  /** Do all moves, also those that follow from a move. */
  moveAll(): void {
    while (this.moves.length) this.move()
  }

  rest(index: number): { address: string; state: unknown }[] {
    return this.entries.slice(index + 1)
  }

  #show(index: number): void {
    this.index = index
    this.location.search = this.entries[index]!.address
  }
}

let browser: FakeBrowser
let navigation: Navigation
let opened: ViewState[]
beforeEach(() => {
  vi.useFakeTimers()
  browser = new FakeBrowser()
  opened = []
  navigation = new Navigation({ viewChanged: () => {}, linkOpened: () => void opened.push(navigation.state) })
  navigation.open()
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** Return the signals of the addresses of the history, and the place among them. */
function steps(): [(string | null)[], number] {
  return [browser.entries.map(({ address }) => new URLSearchParams(address).get('signal')), browser.index]
}

describe('undo and redo', () => {
  it('go to and fro in the history of the browser', () => {
    navigation.go({ signal: 'c' })
    navigation.go({ signal: 'o' })
    navigation.undo()
    browser.moveAll()
    expect(navigation.state.signal).toBe('c')
    navigation.redo()
    browser.moveAll()
    expect(navigation.state.signal).toBe('o')
    expect(steps()).toEqual([[null, 'c', 'o'], 2])
  })

  it('move once, however long the browser takes', () => {
    navigation.go({ signal: 'c' })
    navigation.go({ signal: 'o' })
    navigation.undo()
    vi.advanceTimersByTime(60_000)
    browser.moveAll()
    expect(navigation.state.signal).toBe('c')
  })

  it('never leave the page by a key that repeats before the browser has moved', () => {
    navigation.go({ signal: 'c' })
    navigation.go({ signal: 'o' })
    for (let k = 0; k < 5; k++) navigation.undo()
    expect(browser.moves).toEqual([-1])
    browser.moveAll()
    expect(navigation.state.signal).toBeNull()
    // The page began with one step; what lies before belongs to another page.
    expect(opened).toHaveLength(3)
    for (let k = 0; k < 5; k++) navigation.redo()
    browser.moveAll()
    expect(steps()).toEqual([[null, 'c', 'o'], 2])
  })

  it('keep their order with changes of the view', () => {
    navigation.go({ signal: 'c' })
    navigation.undo()
    navigation.go({ signal: 'o' })
    navigation.undo()
    navigation.redo()
    browser.moveAll()
    expect(navigation.state.signal).toBe('o')
    expect(steps()).toEqual([[null, 'o'], 1])
  })

  it('do nothing where there is no step', () => {
    navigation.undo()
    expect(browser.moves).toEqual([])
    navigation.redo()
    browser.moveAll()
    navigation.go({ signal: 'c' })
    expect(navigation.state.signal).toBe('c')
  })

  it('redo the steps that were made before a reload', () => {
    navigation.go({ signal: 'c' })
    navigation.undo()
    browser.moveAll()
    navigation = new Navigation({ viewChanged: () => {}, linkOpened: () => {} })
    navigation.open()
    navigation.redo()
    browser.moveAll()
    expect(navigation.state.signal).toBe('c')
  })
})

describe('a change while the browser has not moved yet', () => {
  beforeEach(() => {
    navigation.go({ signal: 'c' })
    navigation.go({ signal: 'o' })
    navigation.undo()
  })

  it.each<[string, () => void]>([
    ['go', () => navigation.go({ signal: 'f' })],
    ['jump', () => navigation.jump({ signal: 'f' })],
    ['continue', () => navigation.continue('signals', { signal: 'f' })],
  ])('%s follows the undo, as a step of its own', (_, change) => {
    change()
    expect(steps()).toEqual([[null, 'c', 'o'], 2])
    browser.moveAll()
    expect(navigation.state.signal).toBe('f')
    expect(steps()).toEqual([[null, 'c', 'f'], 2])
  })

  it('never writes the view that is left into the history', () => {
    navigation.replace({ ...navigation.state, signal: 'f' })
    browser.listeners.get('pagehide')?.()
    expect(steps()).toEqual([[null, 'c', 'o'], 2])
    browser.moveAll()
    expect(navigation.state.signal).toBe('c')
  })

  it('is made after a while if the browser has forgotten the step', () => {
    browser.moves = []
    navigation.go({ signal: 'f' })
    expect(navigation.state.signal).toBe('o')
    vi.advanceTimersByTime(2000)
    expect(navigation.state.signal).toBe('f')
    expect(steps()).toEqual([[null, 'c', 'o', 'f'], 3])
  })
})

it('a move of the cursor is written into its step before an undo', () => {
  navigation.go({ signal: 'c' })
  navigation.go({ neuron: 3, step: 1 })
  navigation.undo()
  browser.moveAll()
  navigation.redo()
  browser.moveAll()
  expect(navigation.state).toMatchObject({ signal: 'c', neuron: 3, step: 1 })
})
