// Titles of data in the language of the page. The server and a live file name them in English, and the translation has
// the others by name. Each title becomes a getter, so that what shows it follows the language.
import { catalogue } from '../messages/catalogue.svelte'
import type { Tracks } from './features'
import type { Run, Summary } from './run'
import type { RunList, Source } from './source'

/** Patterns with "*" of a kind of names, compiled once: those of two features first, then those with the longest fixed part. */
const compiled = new WeakMap<object, [RegExp, string][]>()

function patternsOf(entries: Readonly<Record<string, string>>): [RegExp, string][] {
  let patterns = compiled.get(entries)
  if (!patterns) {
    const escaped = (part: string): string => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    patterns = Object.entries(entries)
      .filter(([name]) => name.includes('*'))
      .sort(([a], [b]) => +(b[0] === '*') - +(a[0] === '*') || b.length - a.length)
      .map(([name, title]) => [new RegExp(`^${name.split('*').map(escaped).join('(.+?)')}$`, 's'), title])
    compiled.set(entries, patterns)
  }
  return patterns
}

/**
 * Return the title of something in the language of the page.
 *
 * @param kind such as "signal" or "feature"
 * @param name its name; of several, the first that the translation has counts
 * @param english its English title, for what the translation lacks, such as a feature of one's own
 */
export function titleOf(kind: string, names: string | readonly string[], english: string): string {
  const entries = catalogue.translation.titles[kind]
  if (!entries) return english
  for (const name of [names].flat()) {
    const title = entries[name]
    if (title !== undefined) return title
    for (const [pattern, form] of patternsOf(entries)) {
      const match = pattern.exec(name)
      // A part of a name may have a title itself, such as the gate of a drive.
      if (match) return form.replace(/\{(\d)\}/g, (_, k: string) => titleOf(kind, match[Number(k)]!, match[Number(k)]!))
    }
  }
  return english
}

/** Give an object a property that is computed whenever it is read, unless it has one: a live file returns its own objects. */
function define<T extends object>(target: T, name: keyof T, get: () => unknown): void {
  if (Object.getOwnPropertyDescriptor(target, name)?.get) return
  Object.defineProperty(target, name, { get, enumerable: true, configurable: true })
}

/** Let the title of an object follow the language. */
export function localizeTitle<T extends { title: string }>(
  kind: string,
  names: string | readonly string[],
  target: T,
): void {
  const english = target.title
  define(target, 'title', () => titleOf(kind, names, english))
}

/** The title of the cells of a network, which may be of several kinds. */
function localizeCell(cell: { name: string; title: string }): void {
  const { name, title } = cell
  const titles = title.split(', ')
  const names = name.split(', ')
  define(cell, 'title', () =>
    names.length === titles.length ? names.map((one, k) => titleOf('cell', one, titles[k]!)).join(', ') : title,
  )
}

function localizeSummary(summary: Pick<Summary, 'task' | 'cell' | 'score'>): void {
  const { task, cell, score } = summary
  const { question } = task
  localizeTitle('task', task.name, task)
  define(task, 'question', () => titleOf('question', task.name, question))
  localizeCell(cell)
  if (score?.texts) {
    const { text, texts } = score
    define(score, 'text', () => texts[catalogue.language] ?? text)
  }
}

function localizeRun(run: Run): Run {
  localizeSummary(run)
  for (const { cell, signals, drives, parameters } of run.layers ?? []) {
    const { note } = cell
    localizeCell(cell)
    if (note) define(cell, 'note', () => titleOf('cell_note', cell.name, note))
    for (const named of [...signals, ...drives, ...parameters]) localizeTitle('signal', named.title, named)
  }
  return run
}

function localizeTracks(tracks: Tracks, task: string): Tracks {
  for (const about of [...tracks.features, ...tracks.tracks])
    if (about) localizeTitle('feature', featureNames(about.name, task), about)
  return tracks
}

/** The names under which the translation may have a feature: the quantities of a task differ from task to task. */
const featureNames = (name: string, task: string): string[] => [`${task}/${name}`, name]

/** A source whose titles are in the language of the page. */
export function localized(source: Source): Source {
  /** Run -> its task. */
  const tasks = new Map<string, string>()
  const taskOf = (name: string): string => tasks.get(name) ?? ''
  const ofSource: Partial<Source> = {
    run: async (name) => {
      const run = localizeRun(await source.run(name))
      tasks.set(name, run.task.name)
      return run
    },
    features: async (name, ...rest) => localizeTracks(await source.features(name, ...rest), taskOf(name)),
    study: async (name, request, start) => {
      const answer = await source.study(name, request, start)
      if (answer.state === 'done') localizeTables(answer.result, taskOf(name))
      return answer
    },
    follow: (report) =>
      source.follow((list: RunList | null, problem?: string) => {
        for (const run of list?.runs ?? []) localizeSummary(run)
        report(list, problem)
      }),
  }
  return new Proxy(source, {
    get: (target, name) => {
      const own = ofSource[name as keyof Source]
      if (own) return own
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Let the titles of features and gates in the tables of an answer follow the language. */
function localizeTables(result: unknown, task: string): void {
  if (!result || typeof result !== 'object') return
  const { columns, about } = result as { columns?: Record<string, unknown[]>; about?: Record<string, unknown> }
  if (!columns) {
    for (const part of Object.values(result)) localizeTables(part, task)
    return
  }
  const titles = columns['title']
  const features = columns['feature']
  const localize = (list: unknown[], k: number, kind: string, names: string | readonly string[]): void => {
    const english = String(list[k])
    define(list, k, () => titleOf(kind, names, english))
  }
  titles?.forEach((title, k) => {
    if (features) localize(titles, k, 'feature', featureNames(String(features[k]), task))
    else localize(titles, k, 'signal', String(title))
  })
  columns['short']?.forEach((_, k, list) => localize(list, k, 'feature_short', String(features?.[k])))
  const named = about?.['features'] as Record<string, string> | undefined
  for (const [name, title] of Object.entries(named ?? {}))
    if (typeof title === 'string') define(named!, name, () => titleOf('feature', featureNames(name, task), title))
}
