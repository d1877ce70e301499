import { beforeAll, describe, expect, it } from 'vitest'
import { START, type ViewState } from '../../src/data/view'
import type { Explorer } from '../../src/state/explorer.svelte'
import { press } from '../../src/state/keyboard'

class FakeElement {}

beforeAll(() => {
  Object.assign(globalThis, {
    HTMLElement: FakeElement,
    HTMLTextAreaElement: FakeElement,
    HTMLButtonElement: FakeElement,
  })
  Object.assign(globalThis, { document: { activeElement: null } })
})

/** Press a key on a page with three neurons and ten steps; returns the calls. */
function calls(key: string, state: Partial<ViewState> = {}, event: Partial<KeyboardEvent> = {}): unknown[][] {
  const log: unknown[][] = []
  const record =
    (name: string) =>
    (...values: unknown[]) =>
      void log.push([name, ...values])
  const explorer = {
    state: { ...START, view: 'network', ...state },
    keys: false,
    hover: { neuron: null, step: null },
    cursor: { neuron: 1, step: 4 },
    steps: 10,
    order: { neurons: [2, 1, 0], keys: null },
    layer: { neurons: 3, signals: [{ name: 'i' }, { name: 'c' }, { name: 'h' }] },
    signal: { name: 'h' },
    writing: { write: record('write') },
    ...Object.fromEntries(
      ['holdAtZero', 'release', 'go', 'move', 'pin', 'unpin', 'zoom', 'point', 'selectRange', 'extendRange'].map(
        (name) => [name, record(name)],
      ),
    ),
  } as unknown as Explorer
  press(explorer, { key, target: null, preventDefault: () => {}, ...event } as unknown as KeyboardEvent)
  return log
}

describe('keys', () => {
  it('move the cursor along the text and across the listed neurons, not beyond the ends', () => {
    expect(calls('ArrowRight')).toEqual([['move', 1, 5]])
    expect(calls('Home')).toEqual([['move', 1, 0]])
    expect(calls('End')).toEqual([['move', 1, 9]])
    expect(calls('ArrowUp')).toEqual([['move', 2, 4]])
    expect(calls('PageDown')).toEqual([['move', 0, 4]])
  })

  it('choose the next signal in a circle', () => {
    expect(calls(']')).toEqual([['go', { signal: 'i' }]])
    expect(calls('[')).toEqual([['go', { signal: 'c' }]])
  })

  it('lead back by Escape, step by step', () => {
    expect(calls('Escape', { range: { first: 1, last: 2 } })).toEqual([['selectRange', null]])
    expect(calls('Escape', { step: 2 })).toEqual([['unpin']])
    expect(calls('Escape')).toEqual([['go', { view: 'runs' }]])
    expect(calls('Escape', { view: 'neuron', neuron: 1 })).toEqual([['go', { view: 'network' }]])
    expect(calls('Escape', { view: 'lesson', neuron: 1 })).toEqual([['go', { view: 'neuron', neuron: 1 }]])
  })

  it('extend the range with Shift, and leave shortcuts of the browser alone', () => {
    expect(calls('ArrowLeft', {}, { shiftKey: true })).toEqual([['extendRange', -1]])
    expect(calls('ArrowLeft', {}, { ctrlKey: true })).toEqual([])
  })

  it('hold, release and write', () => {
    const holds = [1, 2].map((neuron) => ({ layer: 'layer0', neuron, signal: 'c', value: 0, first: 0, last: null }))
    expect(calls('0')).toEqual([['holdAtZero']])
    expect(calls('Backspace', { holds })).toEqual([['release', 1]])
    expect(calls('w')).toEqual([['write']])
    for (const key of ['0', 'w', 'Backspace']) expect(calls(key, { view: 'health' })).toEqual([])
    expect(calls('w', { view: 'neuron' })).toEqual([])
  })

  it('go from neuron to neuron on the health page', () => {
    expect(calls('ArrowRight', { view: 'health' })).toEqual([['point', 0, null]])
  })
})
