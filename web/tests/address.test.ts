import { describe, expect, it } from 'vitest'
import {
  type Beside,
  DEFAULT_ZOOM,
  FIT_ZOOM,
  type Hold,
  RUN_ORDERS,
  SORTS,
  START,
  type ViewState,
  type Branch,
} from '../src/data/view'
import { fromAddress, toAddress } from '../src/state/address'
import { storeText } from '../src/state/long-texts'

function again(state: ViewState): ViewState {
  if (state.text !== null) storeText(state.text)
  const url = new URL(`http://127.0.0.1/${toAddress(state)}`)
  return fromAddress(url.search, url.hash)
}

const TEXTS = [
  '',
  'aaXbb',
  'a b+c&d=e%20#f?\n\tg',
  '床前明月光，\n',
  'e\u0301\u200b😀',
  'x'.repeat(5000),
  '月'.repeat(3000),
]

const HOLDS: Hold[] = [
  { layer: 'layer0', neuron: 4, signal: 'f', value: 0, first: 12, last: null },
  { layer: 'layer1_reverse', neuron: 0, signal: 'c', value: -0.5, first: 3, last: 3 },
  { layer: 'layer0', neuron: 2, signal: 'größe', value: 1e-7, first: 0, last: null },
  { layer: 'layer12', neuron: 99, signal: 'h_1', value: 6.5e21, first: 3, last: 7 },
]

const BRANCHES: Branch[] = [
  { step: 0, symbol: ':' },
  { step: 18, symbol: 'X' },
  { step: 18, symbol: '\n' },
  { step: 7, symbol: '&' },
  { step: 7, symbol: '月' },
]

const BESIDE: Beside[] = [
  { kind: 'run', name: 'a run/with: & signs' },
  { kind: 'checkpoint', step: 0 },
  { kind: 'checkpoint', step: null },
  { kind: 'text', text: 'aaX: b\n&c' },
  { kind: 'holds' },
]

describe('the address', () => {
  it('is empty for the view that everybody starts with', () => {
    expect(toAddress(START)).toBe('')
    expect(fromAddress('')).toEqual(START)
  })

  it('restores every view', () => {
    for (const view of ['network', 'neuron', 'learning', 'gradient', 'health', 'lesson'] as const)
      for (const text of [null, ...TEXTS])
        for (const sort of [null, ...SORTS])
          for (let zoom = 0; zoom <= FIT_ZOOM; zoom++) {
            const state: ViewState = {
              view,
              run: 'a run/with & signs',
              layer: zoom % 2 ? 'layer1' : null,
              signal: sort === 'number' ? null : 'c',
              neuron: 0,
              step: zoom,
              text,
              sort,
              order: RUN_ORDERS[zoom]!,
              zoom,
              feature: zoom % 2 ? 'character.is=& & not quotes.any' : null,
              filter: zoom === 2 ? 'a # b' : '',
              range: zoom > 2 ? { first: zoom, last: 2 * zoom } : null,
              threshold: zoom === 3 ? 0.25 : null,
              pair: zoom > 1 ? { first: 0, last: zoom } : null,
              checkpoint: zoom === 1 ? 0 : null,
              by: zoom % 2 ? 'change' : 'gradient',
              drive: zoom % 2 ? 'f' : null,
              source: zoom > 1 ? zoom : null,
              holds: HOLDS.slice(0, zoom),
              below: zoom % 2 ? 'difference' : 'original',
              write: zoom ? 40 * (zoom - 1) : null,
              temperature: zoom % 2 ? 0.7 : null,
              seed: zoom > 3 ? Number.MAX_SAFE_INTEGER : null,
              branches: BRANCHES.slice(0, zoom),
              sets: zoom > 1 ? [{ name: 'a: b, c', holds: HOLDS.slice(0, 2) }] : [],
              against: zoom > 1 ? 'a: b, c' : null,
              beside: BESIDE[zoom] ?? null,
              pairs: zoom % 2 ? 'number' : zoom ? 'matched' : null,
              difference: zoom % 2 === 1,
              scale: zoom % 2 ? 'neuron' : 'all',
              as: zoom % 2 ? 'page' : 'strips',
              sum: zoom > 3 ? 'u.i' : null,
              operation: zoom > 3 ? zoom : null,
              panel: zoom > 2 ? 'diagram' : 'equations',
              space: zoom % 2 ? [4, 9] : null,
              matrix: zoom % 2 ? 'u.i' : null,
              over: zoom % 2 ? 'text' : 'held-out',
              at: zoom % 2 ? '#-1' : null,
              bin: zoom % 2 ? 'c.3' : null,
              experiment: zoom > 1 ? 'gru 5 2 copy seed 3' : null,
              experiments: zoom > 1 ? ['elman 5 2', 'lstm 5 2 forget 0'].slice(0, zoom - 1) : [],
              lesson: zoom > 1 ? 'counting' : null,
              neurons: zoom > 2 ? [4, 0, 7] : [],
            }
            expect(again(state)).toEqual(state)
          }
  })

  it('has only what differs from the default', () => {
    expect(toAddress({ ...START, view: 'network', run: 'counter', neuron: 3, step: 0 })).toBe(
      '?view=network&run=counter&neuron=3&step=0',
    )
  })

  it('keeps long texts out of the part that is sent to the server', () => {
    const address = toAddress({ ...START, view: 'network', run: 'counter', text: '月'.repeat(2000) })
    expect(address.split('#')[0]!.length).toBeLessThan(100)
  })

  it('opens the space of states for its axes', () => {
    expect(fromAddress('?view=network&run=a&space=pca')).toMatchObject({ panel: 'space', space: null })
    expect(fromAddress('?view=network&run=a&space=4,9')).toMatchObject({ panel: 'space', space: [4, 9] })
    expect(fromAddress('?view=network&run=a&space=4,9&panel=equations').panel).toBe('equations')
    const sentences: string[] = []
    for (const space of ['4', '4,4', '1,2,3', 'x'])
      expect(fromAddress(`?view=network&run=a&space=${space}`, '', (s) => sentences.push(s)).space).toBeNull()
    expect(sentences.length).toBe(4)
  })

  it('reads branches and how the network writes', () => {
    const sentences: string[] = []
    const link =
      '?view=network&run=a&write=40&temperature=0.5&seed=1&branch=18:X&branch=2::&branch=18:X&branch=x&branch=3:'
    const state = fromAddress(link, '', (sentence) => sentences.push(sentence))
    expect(state).toMatchObject({
      write: 40,
      temperature: 0.5,
      seed: 1,
      branches: [
        { step: 18, symbol: 'X' },
        { step: 2, symbol: ':' },
      ],
    })
    expect(sentences).toHaveLength(3)
    for (const wrong of [
      'write=-1',
      'write=1001',
      'write=1.5',
      'temperature=-1',
      'temperature=x',
      'seed=-1',
      'seed=1e99',
    ])
      expect(fromAddress(`?view=network&run=a&${wrong}`, '', (one) => sentences.push(one))).toMatchObject({
        write: null,
        temperature: null,
        seed: null,
      })
    expect(sentences).toHaveLength(10)
  })

  it('survives nonsense', () => {
    expect(fromAddress('?view=network')).toEqual(START)
    expect(fromAddress('?view=sideways&run=a').view).toBe('network')
    const sentences: string[] = []
    expect(fromAddress('?view=runs', '', (one) => sentences.push(one))).toEqual(START)
    expect(fromAddress('?view=runs&run=a', '', (one) => sentences.push(one)).view).toBe('runs')
    expect(sentences).toEqual([])
    expect(fromAddress('?view=network&run=a&neuron=-1&step=1.5&zoom=99&sort=colour&text=%E0%A4')).toMatchObject({
      neuron: null,
      step: null,
      zoom: DEFAULT_ZOOM,
      sort: null,
    })
    expect(fromAddress('?view=neuron&run=a').neuron).toBe(0)
    for (const range of ['5', '7-3', '-1-2', '1.5-2', '1-', 'a-b', '0-99999999999'])
      expect(fromAddress(`?view=network&run=a&range=${range}`).range).toBeNull()
    for (const threshold of ['', 'x', '0', '-1', 'Infinity'])
      expect(fromAddress(`?view=network&run=a&threshold=${threshold}`).threshold).toBeNull()
  })

  it('leaves out every hostile value, with one sentence for each', () => {
    const fields = [
      ...['neuron', 'step', 'operation', 'checkpoint', 'source', 'write', 'temperature', 'seed', 'threshold'],
      ...['sort', 'order', 'zoom', 'as', 'neurons', 'panel', 'space', 'over', 'range', 'pair', 'by', 'below'],
      ...['hold', 'branch', 'sets', 'with', 'pairs', 'rows'],
    ]
    for (const value of ['-1', 'NaN', '<script>alert(1)</script>', 'x'.repeat(10_000), '__proto__', '\0', '٣'])
      for (const field of fields) {
        const sentences: string[] = []
        const query = new URLSearchParams({ view: 'network', run: 'a', [field]: value })
        const state = fromAddress(`?${query}`, '', (sentence) => sentences.push(sentence))
        expect(state, field).toEqual({
          ...START,
          view: 'network',
          run: 'a',
          ...(field === 'space' ? { panel: 'space' } : {}),
        })
        expect(sentences.length, `${field}=${value}`).toBe(1)
        expect(sentences[0]!.length).toBeLessThan(300)
      }
    for (const field of fields.filter((name) => !['hold', 'branch', 'sets'].includes(name)))
      expect(fromAddress(`?view=network&run=a&${field}=`), field).toEqual({ ...START, view: 'network', run: 'a' })
  })

  it('holds nothing at a value that float32 does not have', () => {
    const sentences: string[] = []
    const link =
      '?view=network&run=a&hold=0.1.c.1e300.0-&hold=0.1.c.-3.5e38.0-&hold=0.1.c.3.4e38.0-&sets=A:0.1.c.1e39.0-'
    const { holds, sets } = fromAddress(link, '', (sentence) => sentences.push(sentence))
    expect(holds.map(({ value }) => value)).toEqual([3.4e38])
    expect(sets).toEqual([])
    expect(sentences.length).toBe(3)
  })

  it('uses the first of several values, and says so', () => {
    const sentences: string[] = []
    const link = '?view=network&run=a&neuron=3&neuron=4&hold=0.1.c.0.0-&hold=0.2.c.0.0-'
    const state = fromAddress(link, '', (sentence) => sentences.push(sentence))
    expect(state).toMatchObject({ neuron: 3, holds: [{ neuron: 1 }, { neuron: 2 }] })
    expect(sentences).toEqual(['The link has “neuron” more than once. The first one is used.'])
  })

  it('shows the equations if the panel is wrong, as the sentence says', () => {
    expect(fromAddress('?view=network&run=a&panel=zzz&space=4,9').panel).toBe('equations')
  })

  it('says what it cannot read, what was expected and what is shown', () => {
    const problems = (search: string): string[] => {
      const sentences: string[] = []
      fromAddress(search, '', (sentence) => sentences.push(sentence))
      return sentences
    }
    expect(problems('?view=network&run=a&neuron=3&step=0&sort=effect&zoom=0&range=3-4&by=change&text=')).toEqual([])
    expect(problems('?run=a')).toEqual([])
    expect(problems('?view=network&run=a&neuron=-1')).toEqual([
      'Neuron of the link: expected a whole number, got “-1”. No neuron is chosen.',
    ])
    for (const bad of [
      'view=bogus',
      'step=1.5',
      'sort=colour',
      'zoom=99',
      'range=7-3',
      'threshold=x',
      'pair=1',
      'as=book',
      'neurons=1,1',
      'neurons=x',
      'panel=book',
    ])
      expect(problems(`?run=a&${bad}`)).toHaveLength(1)
    for (const bad of ['checkpoint=best', 'by=magic', 'source=-2', 'nuron=3', '__proto__=3', `step=${'9'.repeat(99)}`])
      expect(problems(`?run=a&view=network&${bad}`)).toHaveLength(1)
    expect(problems('?view=network')).toEqual(['The link names no run. All runs are shown.'])
    expect(problems(`?run=a&sort=${'x'.repeat(5000)}`)[0]!.length).toBeLessThan(200)
  })
})
