import { beforeAll, describe, expect, it } from 'vitest'
import { START, type ViewState } from '../../src/data/view'
import type { Explorer } from '../../src/state/explorer.svelte'
import { pageLines } from '../../src/model/page-lines'
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

/** Ten steps on four lines: three, three, one, and three. */
const LINES = pageLines([...'ab\ncd\n\nefg'], new Uint8Array(10), 'character', 20)

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
    writing: { show: record('writing.show') },
    diagram: { open: state.panel === 'diagram', step: record('diagram.step') },
    page: {
      open: state.as === 'page',
      showAs: record('page.showAs'),
      turn: record('page.turn'),
      move: record('page.move'),
      pin: record('page.pin'),
    },
    pageLines: LINES,
    pageRows: 2,
    ...Object.fromEntries(
      ['fit', 'go', 'move', 'pin', 'unpin', 'zoom', 'point', 'selectRange', 'extendRange'].map((name) => [
        name,
        record(name),
      ]),
    ),
    holding: { remove: record('remove') },
    holdAtZero: record('holdAtZero'),
    navigation: { undo: record('undo'), redo: record('redo') },
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
    expect(calls('Escape', { view: 'lesson', neuron: 1 })).toEqual([['go', { view: 'gradient' }]])
  })

  it('extend the range with Shift, and leave shortcuts of the browser alone', () => {
    expect(calls('ArrowLeft', {}, { shiftKey: true })).toEqual([['extendRange', -1]])
    expect(calls('ArrowLeft', {}, { ctrlKey: true })).toEqual([])
  })

  it('undo and redo, but not in a text field', () => {
    const inField = (matches: boolean): Partial<KeyboardEvent> => ({
      ctrlKey: true,
      target: { matches: () => matches } as unknown as EventTarget,
    })
    expect(calls('z', {}, inField(false))).toEqual([['undo']])
    expect(calls('Z', {}, { ...inField(false), shiftKey: true })).toEqual([['redo']])
    expect(calls('y', { view: 'runs' }, inField(false))).toEqual([['redo']])
    expect(calls('z', {}, inField(true))).toEqual([])
    expect(calls('z', {}, { ...inField(false), altKey: true })).toEqual([])
  })

  it('hold, release and write', () => {
    const holds = [1, 2].map((neuron) => ({ layer: 'layer0', neuron, signal: 'c', value: 0, first: 0, last: null }))
    expect(calls('z')).toEqual([['holdAtZero']])
    expect(calls('Backspace', { holds })).toEqual([['remove', 1]])
    expect(calls('w')).toEqual([['writing.show']])
    for (const key of ['0', 'z', 'p', 'w', 'Backspace']) expect(calls(key, { view: 'health' })).toEqual([])
    expect(calls('w', { view: 'neuron' })).toEqual([])
  })

  it('change the form and the size, and move along the lines of a page', () => {
    expect(calls('0')).toEqual([['fit']])
    expect(calls('p')).toEqual([['page.showAs', 'page']])
    expect(calls('p', { as: 'page' })).toEqual([['page.showAs', 'strips']])
    expect(calls('.', { as: 'page' })).toEqual([['page.turn', 1]])
    expect(calls('.')).toEqual([])
    // In the diagram they do and undo operations, also beside a page of text.
    expect(calls(',', { panel: 'diagram', as: 'page' })).toEqual([['diagram.step', -1]])
    // Step 4 is the second character of the second line.
    expect(calls('ArrowUp', { as: 'page' })).toEqual([['page.move', 1, 1]])
    expect(calls('ArrowDown', { as: 'page' })).toEqual([['page.move', 1, 6]])
    expect(calls('PageDown', { as: 'page' })).toEqual([['page.move', 1, 8]])
    expect(calls('End', { as: 'page' })).toEqual([['page.move', 1, 9]])
    expect(calls(' ', { as: 'page' })).toEqual([['page.pin', 1, 4]])
    expect(calls('Enter', { as: 'page' })).toEqual([['go', { view: 'neuron', neuron: 1 }]])
  })

  it('go from neuron to neuron on the health page', () => {
    expect(calls('ArrowRight', { view: 'health' })).toEqual([['point', 0, null]])
  })
})
