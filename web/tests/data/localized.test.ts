// Titles of data in the language of the page, by name.
import { afterEach, describe, expect, it } from 'vitest'
import chinese from '../../../src/gatescope/messages/zh/titles.json'
import { localized, titleOf } from '../../src/data/localized'
import type { Run } from '../../src/data/run'
import type { Source } from '../../src/data/source'
import { rows, type Table } from '../../src/data/study'
import { catalogue } from '../../src/messages/catalogue.svelte'

const ENGLISH = { ...catalogue.translation }

function show(language: 'en' | 'zh'): void {
  catalogue.language = language
  catalogue.translation = language === 'en' ? ENGLISH : { page: {}, titles: chinese }
}

afterEach(() => show('en'))

describe('a title', () => {
  it('is found by its name, by a pattern, and by the first of several names', () => {
    show('zh')
    expect(titleOf('signal', 'forget gate', 'forget gate')).toBe('遗忘门')
    expect(titleOf('signal', 'input drive of the forget gate', '')).toBe('遗忘门的输入驱动项')
    expect(titleOf('feature', ['counter/task.owed', 'task.owed'], '')).toBe('此符号之后还要写的 b 数')
    expect(titleOf('feature', ['counter/counts.a_minus_b', 'counts.a_minus_b'], '')).toBe(
      '行内到此 a 比 b 多几个，至少为 0',
    )
    expect(titleOf('feature', 'neighbours.next=⏎', '')).toBe('下一个字符（向前看）：⏎')
  })

  it.each([
    ['counts.a', '已有的 a 数'],
    ['counts.a_run', '连续的 a 数'],
    ['counts.a_in_line', '本行的 a 数'],
    ['counts.c_minus_X', 'c 比 X 多几个'],
    ['counts.a > 0', '已有的 a 数 > 0'],
    ['task.reading & not counts.a_run > 1', '读入 且非 连续的 a 数 > 1'],
    ['numbers.x.change', 'x 的变化'],
  ])('of the feature %s has the pattern with the longest fixed part', (name, title) => {
    show('zh')
    expect(titleOf('feature_short', name, '')).toBe(title)
  })

  it('is never a part of itself', () => {
    for (const entries of Object.values(chinese as Record<string, Record<string, string>>))
      for (const form of Object.values(entries)) expect(form).not.toContain('{0}')
    show('zh')
    expect(titleOf('signal', 'per-neuron weight n', '')).toBe('每个神经元的权重 n')
  })

  it("is English where the translation lacks it, as for a feature of one's own", () => {
    show('zh')
    expect(titleOf('feature', 'own.doubled', 'the same twice')).toBe('the same twice')
    show('en')
    expect(titleOf('signal', 'forget gate', 'forget gate')).toBe('forget gate')
  })
})

describe('a source', () => {
  const table: Table = {
    columns: { neuron: [3], feature: ['quotes.double'], title: ['inside "..." (looks ahead)'] },
    titles: {},
    about: {},
  } as unknown as Table
  const run = {
    name: 'r',
    task: { name: 'counter', title: 'Counter', question: 'Which?' },
    cell: { name: 'lstm, gru', title: 'LSTM, GRU' },
    score: { value: 1, chance: 0, solved: true, text: 'all', texts: { en: 'all', zh: '全部' } },
    layers: [
      {
        name: 'layer0',
        cell: { name: 'lstm', title: 'LSTM', paper: '', note: 'The forget gate starts open.' },
        signals: [{ name: 'f', title: 'forget gate' }],
        drives: [],
        parameters: [],
      },
    ],
  } as unknown as Run
  const source = localized({
    run: async () => run,
    study: async () => ({ state: 'done', stale: false, result: table }),
  } as unknown as Source)

  it('has titles that follow the language, also when it returns the same objects again', async () => {
    for (const _ of [1, 2]) {
      const { task, score, layers } = await source.run('r')
      const answer = await source.study('r', {} as never, false)
      const title = (): unknown => rows((answer as { result: unknown }).result as Table)[0]!['title']
      expect([task.title, score!.text, layers[0]!.signals[0]!.title]).toEqual(['Counter', 'all', 'forget gate'])
      expect(title()).toBe('inside "..." (looks ahead)')
      show('zh')
      expect([task.title, score!.text, layers[0]!.signals[0]!.title]).toEqual(['计数', '全部', '遗忘门'])
      expect(layers[0]!.cell.note).toContain('遗忘门一开始是打开的')
      expect(title()).toBe('在 "..." 内（向前看）')
      show('en')
    }
  })
})
