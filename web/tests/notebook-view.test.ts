// The view of a notebook widget: the steps of Python, and messages that are not what they must be.
import { describe, expect, it } from 'vitest'
import { START } from '../src/data/view'
import { notebookView, viewChange } from '../src/model/notebook-view'

const HOLD = { layer: 'layer0', signal: 'f', neuron: 2, value: 0.5, first: 1, last: 2 }
const OPEN = { ...HOLD, neuron: 3, first: 0, last: null }
const shown = { text: 'aXb', layer: 'layer0', signal: 'c' }

describe('a view of a notebook', () => {
  it('counts the end of steps as Python does', () => {
    const state = { ...START, neuron: 4, step: 0, range: { first: 1, last: 3 }, holds: [HOLD, OPEN] }
    expect(notebookView(state, shown)).toEqual({
      ...shown,
      neuron: 4,
      step: 0,
      steps: [1, 4],
      holds: [
        { layer: 'layer0', signal: 'f', neuron: 2, value: 0.5, steps: [1, 3] },
        { layer: 'layer0', signal: 'f', neuron: 3, value: 0.5, steps: [0, null] },
      ],
    })
  })

  it('comes back as the change that shows it', () => {
    const state = { ...START, neuron: 4, range: { first: 1, last: 1 }, holds: [HOLD, OPEN] }
    const { neuron, step, range, holds } = state
    const view: unknown = JSON.parse(JSON.stringify(notebookView(state, shown)))
    expect(viewChange(view)).toEqual({ ...shown, neuron, step, range, holds })
    expect(viewChange(notebookView(START, { text: null, layer: null, signal: null }))).toMatchObject({ range: null })
  })

  it('changes only the fields that it has', () => {
    expect(viewChange({ text: 'a', other: 1 })).toEqual({ text: 'a' })
    expect(viewChange({})).toEqual({})
  })

  it.each([
    null,
    'text',
    { text: 3 },
    { neuron: -1 },
    { neuron: 1.5 },
    { step: '2' },
    { steps: [2, 2] },
    { steps: [2, null] },
    { steps: [0, 1, 2] },
    { holds: {} },
    { holds: [null] },
    { holds: [{ ...HOLD, steps: [0, 1], value: 1e39 }] },
    { holds: [{ ...HOLD, steps: [0, 1], value: NaN }] },
    { holds: [{ ...HOLD, steps: [1, 0] }] },
    { holds: [{ ...HOLD, steps: [0, 1], layer: 0 }] },
    { holds: Array.from({ length: 101 }, () => ({ ...HOLD, steps: [0, 1] })) },
  ])('is refused as a whole if a field is wrong: %j', (view) => {
    expect(viewChange(view)).toBeNull()
  })
})
