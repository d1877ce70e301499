// The catalogue of the page: every code is used, every call gives the values of its sentence, and no other text is visible.
import { describe, expect, it } from 'vitest'
import english from '../../src/gatescope/messages/en/page.json'
import { catalogue, firstKnown } from '../src/messages/catalogue.svelte'
import { type Code, pieces, text } from '../src/messages/text'

const files = import.meta.glob<string>('../{engine,src}/**/*.{ts,svelte}', { query: '?raw', import: 'default', eager: true }) // prettier-ignore
const sources = Object.entries(files).map(([path, source]) => [path.replace('../', ''), source] as const)
const sentences = english as Record<string, string>

/** The names of the fields of a sentence. */
const fieldsOf = (sentence: string): string[] =>
  [...new Set([...sentence.matchAll(/\{(\w+)/g)].map((match) => match[1]!))].sort()

/** The end of the bracket that opens at a position. */
function closing(source: string, open: number): number {
  let depth = 0
  for (let k = open; k < source.length; k++) {
    if ('([{'.includes(source[k]!)) depth++
    if (')]}'.includes(source[k]!) && --depth === 0) return k
  }
  throw new Error('a bracket is not closed')
}

/** The names of the properties of an object literal, without nested ones. */
function properties(literal: string): string[] {
  const names: string[] = []
  let depth = 0
  let part = ''
  for (const character of `${literal},`) {
    if ('([{'.includes(character)) depth++
    if (')]}'.includes(character)) depth--
    if (character !== ',' || depth) part += character
    else {
      const name = /^\s*(\w+)/.exec(part)?.[1]
      if (name) names.push(name)
      part = ''
    }
  }
  return names.sort()
}

/** Every text() and EngineError() with a code and its values written out: [place, code, names of the values]. */
function calls(): [string, string, string[]][] {
  const found: [string, string, string[]][] = []
  for (const [file, source] of sources)
    for (const match of source.matchAll(/\b(?:text|new EngineError)\(\s*'([A-Z_]+)'/g)) {
      const end = closing(source, source.indexOf('(', match.index))
      const rest = source.slice(match.index + match[0].length, end).replace(/^\s*,\s*|\s*,?\s*$/g, '')
      if (rest && !rest.startsWith('{')) continue // a variable: seen when the page runs
      const names = rest ? properties(rest.slice(1, -1)) : []
      found.push([file, match[1]!, names])
    }
  return found
}

/** Every <Sentence>: [place, code, names of values and elements]. */
function sentenceElements(): [string, string, string[]][] {
  const found: [string, string, string[]][] = []
  for (const [file, source] of sources)
    for (const match of source.matchAll(/<Sentence\b/g)) {
      const tag = source.slice(match.index, source.indexOf('/>', match.index))
      const code = /code="([A-Z_]+)"/.exec(tag)?.[1]
      if (!code) continue
      const names = ['values', 'elements'].flatMap((attribute) => {
        const at = tag.indexOf(`${attribute}={{`)
        if (at < 0) return []
        const open = at + attribute.length + 2
        return properties(tag.slice(open + 1, closing(tag, open)))
      })
      if (tag.includes('values={') && !tag.includes('values={{')) continue // a variable
      found.push([file, code, names.sort()])
    }
  return found
}

describe('the catalogue', () => {
  it('has no sentence that nothing shows', () => {
    const source = sources.map(([, source]) => source).join('\n')
    const used = new Set([...source.matchAll(/['"]([A-Z][A-Z_]+)['"]/g)].map((match) => match[1]!))
    expect(Object.keys(sentences).filter((code) => !used.has(code))).toEqual([])
  })

  it('gets from every call the values that its sentence names, and no others', () => {
    const all = [...calls(), ...sentenceElements()]
    expect(all.length).toBeGreaterThan(300)
    const wrong = all
      .filter(([, code, names]) => fieldsOf(sentences[code] ?? '').join() !== names.join())
      .map(([file, code, names]) => `${file}: ${code} takes ${fieldsOf(sentences[code] ?? '')}, got ${names}`)
    expect(wrong).toEqual([])
  })

  it('has sentences with closed braces and two forms of a count', () => {
    const field = /^\w+(:[^|{}]*\|[^|{}]*)?$/
    const wrong = Object.entries(sentences).filter(([, sentence]) => {
      const rest = sentence.replace(/\{([^{}]*)\}/g, (whole, inner: string) => (field.test(inner) ? '' : whole))
      return /[{}]/.test(rest)
    })
    expect(wrong).toEqual([])
  })
})

describe('a sentence', () => {
  it('has its values filled in', () => {
    expect(text('NEURON_TITLE', { neuron: 3 })).toBe('Neuron 3')
    expect(text('NEURON_TITLE')).toBe('Neuron {neuron}')
  })

  it('has the form of its count, with separated thousands', () => {
    const form = (steps: number): string => text('CARD_STEPS', { steps })
    expect([0, 1, 2, 12345].map(form)).toEqual([
      '0 training steps',
      '1 training step',
      '2 training steps',
      '12,345 training steps',
    ])
  })

  it('is cut at the elements that stand in it', () => {
    expect(pieces('PATHS_TOTAL')).toEqual([
      { text: 'All paths together: ' },
      { element: 'total' },
      { text: ' · autograd computes ' },
      { element: 'autograd' },
      { text: ': ' },
      { element: 'same' },
      { text: '.' },
    ])
    expect(pieces('NEURON_TITLE', { neuron: 3 })).toEqual([{ text: 'Neuron 3' }])
  })

  it('may have a code that is chosen when the page runs', () => {
    const code: Code = 'CARD_CREATED'
    expect(text(code)).toBe('not started')
  })
})

describe('another language', () => {
  it('has its own sentences, one form of a count, and English where it lacks a sentence', () => {
    catalogue.translation = { page: { CARD_STEPS: '{steps:# 个训练步}', NEURON_TITLE: '神经元 {neuron}' }, titles: {} }
    expect(text('CARD_STEPS', { steps: 12345 })).toBe('12,345 个训练步')
    expect(pieces('NEURON_TITLE')).toEqual([{ text: '神经元 ' }, { element: 'neuron' }])
    expect(text('CARD_CREATED')).toBe('not started')
    catalogue.translation = { page: english, titles: {} }
  })

  it.each([
    ['应为{x}。', 'network', '应为 network。'],
    ['应为 {x}。', '空', '应为空。'],
    ['{x} 的取值', '细胞状态', '细胞状态的取值'],
    ['上的 {x}', '细胞状态', '上的细胞状态'],
    ['{x}和{y}', '0.76', '0.76 和{y}'],
    ['（{x}）：{x}', 'h', '（h）：h'],
    ['读 {x} 时', '“X”', '读“X”时'],
    ['reads {x} at', '“X”', 'reads “X” at'],
  ])('spaces %s around %s as Chinese is spaced', (sentence, x, spaced) => {
    catalogue.translation = { page: { NEURON_TITLE: sentence }, titles: {} }
    expect(text('NEURON_TITLE', { x })).toBe(spaced)
    catalogue.translation = { page: english, titles: {} }
  })

  it('is the first one that the browser prefers and the page has', () => {
    expect(firstKnown(['zh-CN', 'en'])).toBe('zh')
    expect(firstKnown(['fr', 'zh-Hant-TW'])).toBe('zh')
    expect(firstKnown(['en-GB', 'zh'])).toBe('en')
    expect(firstKnown([])).toBe('en')
  })
})

describe('templates', () => {
  /** Words that are not English sentences: commands, and the names of mathematics. */
  const ALLOWED = new Set([
    'gatescope explore',
    'gatescope train counter',
    '∂state',
    '/ ∂state',
    't',
    's',
    'u.',
    '× ',
    'Ctrl K',
    'Tab',
    'Alt →',
    'Ctrl',
  ])

  /** The markup of a component without script, style, comments, and without what stands in braces. */
  function markup(source: string): string {
    let rest = source
      .replace(/<script[\s\S]*?<\/script>/g, '')
      .replace(/<style[\s\S]*?<\/style>/g, '')
      .replace(/<!--[\s\S]*?-->/g, '')
    let plain = ''
    for (let k = 0; k < rest.length; k++) {
      if (rest[k] === '{') {
        k = closing(rest, k)
        plain += '\u0000'
      } else plain += rest[k]
    }
    rest = plain
    return rest
  }

  it('have no visible words of their own', () => {
    const words: string[] = []
    for (const [file, source] of sources) {
      if (!file.endsWith('.svelte')) continue
      const plain = markup(source)
      const attributes = [...plain.matchAll(/\b(?:aria-label|title|placeholder|alt|aria-roledescription)="([^"]*)"/g)]
      const texts = plain.replace(/<[^>]*>/g, '\n').split('\n')
      for (const part of [...attributes.map((match) => match[1]!), ...texts])
        for (const word of part.split('\u0000').map((piece) => piece.trim()))
          if (/\p{L}{2,}/u.test(word) && !ALLOWED.has(word)) words.push(`${file}: ${word}`)
    }
    expect(words).toEqual([])
  })

  it('have no sentences in their scripts, nor have the modules', () => {
    const literal = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g
    // Lines of Python and lists of classes are no sentences.
    const isSentence = (text: string): boolean => /[a-z]{2,} [a-z]{2,} [a-z]/.test(text) && !/^.import /.test(text)
    const found = sources.flatMap(([file, source]) =>
      source
        .replace(/<style[\s\S]*?<\/style>|<!--[\s\S]*?-->|\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\bclass="[^"]*"/gm, '')
        .split('\n')
        .flatMap((line) => line.match(literal) ?? [])
        .filter(isSentence)
        .map((sentence) => `${file}: ${sentence}`),
    )
    expect(found).toEqual([])
  })
})
