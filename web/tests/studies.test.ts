import { describe, expect, it } from 'vitest'
import { featureChoices, readTracks } from '../src/data/features'
import { rows, type Table } from '../src/data/study'
import { effects } from '../src/model/effects'
import { healthOf, timeConstantText } from '../src/model/health'
import { explainLabel, Labels, matchesFilter, chipText, strength } from '../src/model/labels'
import { sortNeurons } from '../src/model/neuron-order'

function table(titles: string[], ...values: (string | number | null)[][]): Table {
  const columns = Object.fromEntries(titles.map((name, k) => [name, values.map((row) => row[k]!)]))
  return { columns, titles: {}, about: { chance: { least: { AUROC: 0.66, R2: null } }, steps: { held_out: 50 } } }
}

const COLUMNS = ['layer', 'signal', 'neuron', 'place', 'feature', 'title', 'measure', 'score', 'lag', 'direction']
const TABLE = table(
  COLUMNS,
  ['layer0', 'c', 3, 1, 'quotes.any', 'inside quotes', 'AUROC', 0.9, 0, -1],
  ['layer0', 'c', 3, 0, 'task.owed', 'b’s still owed', 'R2', 0.97, 2, 1],
  ['layer1', 'c', 3, 0, 'position.line', 'line', 'R2', 0.4, -1, 1],
)

describe('a table', () => {
  it('is read row by row', () => {
    expect(rows(table(['a', 'b'], [1, 'x'], [null, 'y']))).toEqual([
      { a: 1, b: 'x' },
      { a: null, b: 'y' },
    ])
    expect(rows(table(['a']))).toEqual([])
    expect(rows({ columns: {}, titles: {}, about: {} })).toEqual([])
  })
})

describe('labels', () => {
  const labels = new Labels(TABLE)

  it('are those of one signal of one neuron of one layer, the best first', () => {
    expect(labels.of('layer0', 'c', 3).map((one) => one.feature)).toEqual(['task.owed', 'quotes.any'])
    expect(labels.of('layer1', 'c', 3).map((one) => one.feature)).toEqual(['position.line'])
    expect(labels.of('layer0', 'h', 3)).toEqual([])
    expect(labels.of('layer0', 'c', 30)).toEqual([])
    expect(labels.features.get('task.owed')).toBe('b’s still owed')
    expect(labels.steps).toBe(50)
  })

  it('follow the language with their titles and short names', () => {
    const english = table(['title', 'short'], ['steps since the start', 'steps so far'])
    let language = 'en'
    for (const name of ['title', 'short'])
      Object.defineProperty(english.columns[name]!, 0, { get: () => `${name} in ${language}`, enumerable: true })
    const label = rows(english)[0] as unknown as Parameters<typeof chipText>[0]
    language = 'zh'
    expect([label.title, chipText({ ...label, direction: 1 })]).toEqual(['title in zh', 'short in zh'])
  })
  it('are found by a part of their words, whatever the case', () => {
    expect(labels.best('layer0', 'c', 3, 'QUOTES ')?.feature).toBe('quotes.any')
    expect(labels.best('layer0', 'c', 3, 'task.')?.feature).toBe('task.owed')
    expect(labels.best('layer0', 'c', 3, '')?.feature).toBe('task.owed')
    expect(labels.best('layer0', 'c', 3, 'bracket')).toBeNull()
    expect(matchesFilter(labels.of('layer0', 'c', 3)[0]!, 'still')).toBe(true)
  })

  it('say how much they say, comparable between the measures', () => {
    const [owed, quotes] = labels.of('layer0', 'c', 3)
    expect(strength(owed!)).toBeCloseTo(0.97)
    expect(strength(quotes!)).toBeCloseTo(0.8)
    expect(strength({ ...quotes!, score: 0.4 })).toBe(0)
    expect(strength({ ...owed!, score: -3 })).toBe(0)
    expect(chipText(quotes!)).toBe('↓ inside quotes')
    expect(chipText(owed!)).toBe('b’s still owed')
  })

  it('are explained', () => {
    const [owed, quotes] = labels.of('layer0', 'c', 3)
    expect(explainLabel(quotes!, labels.chance)).toEqual([
      'inside quotes',
      'AUROC 0.900; chance reaches 0.660',
      'lower where the feature is on',
      'quotes.any',
    ])
    expect(explainLabel(owed!, labels.chance)).toEqual([
      'b’s still owed',
      'R² 0.970',
      '2 steps after the feature',
      'task.owed',
    ])
    expect(explainLabel({ ...owed!, lag: -1 }, {})).toContain('1 step before the feature')
    expect(new Labels({ ...TABLE, about: {} }).chance).toEqual({})
  })
})

describe('effects and health', () => {
  it('are read by layer and neuron; only rows about every step count', () => {
    const found = effects(
      table(
        ['layer', 'neuron', 'feature', 'on', 'on_low', 'on_high'],
        ['layer0', 1, '', 0.25, 0.2, 0.3],
        ['layer0', 1, 'quotes.any', 9, 8, 10],
        ['layer1', 1, '', null, null, null],
      ),
    )
    expect([...found]).toEqual([['layer0 1', { change: 0.25, low: 0.2, high: 0.3, mean: null }]])
  })

  it('knows an endless memory from none, though JSON has no word for it', () => {
    const found = healthOf(
      table(
        ['layer', 'neuron', 'findings', 'twin', 'time_constant'],
        ['layer0', 0, '', -1, 12.34],
        ['layer0', 1, 'HEALTH_FORGETS_NOTHING', -1, null],
        ['layer0', 2, 'HEALTH_DEAD_STILL', -1, null],
      ),
      table(['layer', 'gate', 'title']),
    )
    expect(found.map((one) => one.time)).toEqual([12.34, Infinity, null])
    expect(timeConstantText(12.34)).toBe('12 steps')
    expect(timeConstantText(1234.4)).toBe('1,234 steps')
    expect(timeConstantText(Infinity)).toContain('nothing is forgotten')
    expect(timeConstantText(null)).toContain('none')
  })

  it('says what is unusual in words, by the codes of the server', () => {
    const found = healthOf(
      table(
        ['layer', 'neuron', 'findings', 'twin', 'time_constant'],
        ['layer0', 0, '', -1, 1],
        ['layer0', 1, 'HEALTH_DUPLICATE HEALTH_GATE_OPEN:f HEALTH_GATE_CLOSED:o', 4, 1],
        ['layer1', 0, 'HEALTH_MIRROR HEALTH_GATE_OPEN:f', 2, 1],
      ),
      table(['layer', 'gate', 'title'], ['layer0', 'f', 'forget gate'], ['layer0', 'o', 'output gate']),
    )
    expect(found.map((one) => one.verdict)).toEqual([
      '',
      'duplicate of 4, forget gate always open, output gate always closed',
      'mirror image of 2, f always open',
    ])
  })
})

describe('the order by what is known', () => {
  const values = new Float32Array(5 * 4)
  const known = {
    score: Float64Array.of(0.2, NaN, 0.9, 0.2, NaN),
    effect: Float64Array.of(-1, 3, NaN, 0, 3),
    label: ['b', '', 'b', 'a', ''],
  }

  it('puts what is not known last, and equal ones by number', () => {
    expect(sortNeurons('score', values, 4, 0, known).neurons).toEqual([2, 0, 3, 1, 4])
    expect(sortNeurons('effect', values, 4, 0, known).neurons).toEqual([1, 4, 3, 0, 2])
    expect(sortNeurons('label', values, 4, 0, known).neurons).toEqual([3, 2, 0, 1, 4])
    for (const sort of ['score', 'effect', 'label'] as const)
      expect(sortNeurons(sort, values, 4, 0).neurons).toEqual([0, 1, 2, 3, 4])
  })
})

describe('features of a text', () => {
  const header = (found: unknown): string =>
    JSON.stringify({
      __metadata__: { features: '[]', found: JSON.stringify(found) },
      '0': { dtype: 'U8', shape: [3], data_offsets: [0, 3] },
      '2': { dtype: 'F32', shape: [3], data_offsets: [3, 15] },
    })

  it('are read with their largest value; one that is not known is null', () => {
    const head = header([{ name: 'a.b', title: 'b', kind: 'binary' }, null, { name: 'a.c', title: 'c', kind: 'count' }])
    const text = new TextEncoder().encode(head)
    const bytes = new Uint8Array(8 + text.length + 15)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true)
    bytes.set(text, 8)
    bytes.set([1, 0, 1], 8 + text.length)
    bytes.set(new Uint8Array(Float32Array.of(2, NaN, 7).buffer), 8 + text.length + 3)
    const { tracks } = readTracks(bytes.buffer)
    expect([...tracks[0]!.values]).toEqual([1, 0, 1])
    expect(tracks[0]!.most).toBe(1)
    expect(tracks[1]).toBeNull()
    expect([...tracks[2]!.values]).toEqual([2, NaN, 7])
    expect(tracks[2]!.most).toBe(7)
  })

  it('stand in the list with every category of their own', () => {
    expect(
      featureChoices([
        { name: 'a.is', title: 'the character', kind: 'category', categories: ['x', '='] },
        { name: 'a.n', title: 'n', kind: 'count', categories: [] },
      ]),
    ).toEqual([
      { name: 'a.is=x', title: 'the character: x' },
      { name: 'a.is==', title: 'the character: =' },
      { name: 'a.n', title: 'n' },
    ])
  })
})
