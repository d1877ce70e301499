// What the page writes: stars, names, tags, deleted runs and adopted networks. Every act is a POST to the local
// server with the token of its start; a refusal is an ActError with a code.
import { catalogue } from '../messages/catalogue.svelte'
import { text } from '../messages/text'
import { SourceError } from './source-error'

/** The parameters of the page's address without `run`; a list for a parameter that occurs several times. */
export type StarView = Record<string, string | string[]>

/** A view that somebody kept with a star, and a sentence about it: an entry of findings.json of the run. */
export interface Star {
  id: string
  view: StarView
  sentence: string
  /** As in "2026-01-31T12:00:00Z". */
  created: string
}

/** A removed star and its place, with which `restoreStar` undoes the removal. */
export interface RemovedStar {
  star: Star
  position: number
}

/** A run in the trash. */
export interface DeletedRun {
  id: string
  name: string
  /** As in "2026-01-31T12:00:00Z". */
  deleted: string
}

/** The values of a sentence; a sentence within it is an object of its own. */
export type Values = Record<string, unknown>

/** A sentence of the server: the English text, and the code and values by which the page writes it in its language. */
export interface Sentence {
  error: string
  code: string | null
  values: Values
}

/** An answer of an adoption, by the keyword of `gatescope adopt`. */
export type Answer = string | string[]

/** The view that a live file opens with. */
export interface LiveView {
  /** The text in sight; null for the first example. */
  text: string | null
  address: string
  checkpoint: number | null
}

/** How many texts of a kind a live file holds, and how long they are together. */
export interface Texts {
  count: number
  characters: number
}

/** What leaves this machine with a live file. */
export interface Disclosure {
  name: string
  task: string
  symbols: string[]
  outputs: string[]
  examples: Texts
  samples: Texts
  passages: Texts
  mistakes: Texts
  findings: Texts
  notes: string[]
  tables: string[]
  steps: number[]
  /** The length of the text in sight. */
  text: number
}

/** Something that the file does not record; the network is adopted once every question has an answer. */
export interface Question extends Sentence {
  /** The name of its answer in `answers`; several if any one of them answers it. */
  answers: string[]
  /** Values for each answer that are known to be possible; an answer without an entry is typed, or a file. */
  choices: Record<string, string[]>
}

export interface Adoption {
  /** The id of the file on the server. */
  id: string
  file: string
  bytes: number
  /** The answers so far. */
  answers: Record<string, Answer>
  questions: Question[]
  /** The name of the new run; null while there are questions. */
  run: string | null
  /** Everything that was assumed or left out, one sentence each. */
  notes: string[]
  /** That the network predicts the text worse than the frequencies of its symbols do. */
  warning: string | null
}

/** A refused act. `code` is null if the server did not answer. */
export class ActError extends SourceError {
  constructor(
    problem: string,
    code: string | null,
    readonly values: Values = {},
    readonly status = 0,
  ) {
    super(problem, status === 0, code)
  }
}

export class Acts {
  #token: Promise<string> | null = null

  constructor(private readonly base = '') {}

  async stars(run: string): Promise<Star[]> {
    return (await this.#get<{ stars: Star[] }>(`${runPath(run)}/stars`)).stars
  }

  /** Keep a view with a sentence. Returns the stars of the run, and the id of the new one. */
  addStar(run: string, view: StarView, sentence: string): Promise<{ stars: Star[]; id: string }> {
    return this.post(`${runPath(run)}/stars`, { act: 'add', view, sentence })
  }

  async changeStar(run: string, id: string, sentence: string): Promise<Star[]> {
    return (await this.#star(run, { act: 'change', id, sentence })).stars
  }

  /** Move a star to a place among the others, from 0 on. */
  async moveStar(run: string, id: string, position: number): Promise<Star[]> {
    return (await this.#star(run, { act: 'move', id, position })).stars
  }

  removeStar(run: string, id: string): Promise<{ stars: Star[]; removed: RemovedStar }> {
    return this.post(`${runPath(run)}/stars`, { act: 'remove', id })
  }

  /** Undo a removal. */
  async restoreStar(run: string, removed: RemovedStar): Promise<Star[]> {
    return (await this.#star(run, { act: 'restore', ...removed })).stars
  }

  /** Rename a run. Returns its name in the list. */
  async rename(run: string, name: string): Promise<string> {
    return (await this.post<{ name: string }>(`${runPath(run)}/rename`, { name })).name
  }

  /** Change the tags of a run. Returns all of them. */
  async tag(run: string, add: string[], remove: string[] = []): Promise<string[]> {
    return (await this.post<{ tags: string[] }>(`${runPath(run)}/tags`, { add, remove })).tags
  }

  /** Move a run to the trash. */
  async delete(run: string): Promise<DeletedRun> {
    return (await this.post<{ deleted: DeletedRun }>(`${runPath(run)}/delete`, {})).deleted
  }

  /** Return the runs in the trash, the last deleted one first. */
  async trash(): Promise<DeletedRun[]> {
    return (await this.#get<{ runs: DeletedRun[] }>('/api/trash')).runs
  }

  /** Take a run out of the trash, perhaps under another name. Returns its name in the list. */
  async restore(id: string, name: string | null = null): Promise<string> {
    return (await this.post<{ name: string }>('/api/trash/restore', { id, name })).name
  }

  /** Send a file that was dropped on the page, and return what is to be answered before it becomes a run. */
  adopt(file: File, signal?: AbortSignal): Promise<Adoption> {
    return this.#upload(`/api/adopt?file=${encodeURIComponent(file.name)}`, file, signal)
  }

  /** Send a file that answers a question: `vocabulary`, `corpus`, `names` or `text`. */
  answerByFile(id: string, answer: string, file: File, signal?: AbortSignal): Promise<Adoption> {
    const query = `answer=${encodeURIComponent(answer)}&file=${encodeURIComponent(file.name)}`
    return this.#upload(`/api/adopt/${id}/file?${query}`, file, signal)
  }

  /** Answer questions; null takes an answer back. */
  answer(id: string, answers: Record<string, Answer | null>): Promise<Adoption> {
    return this.post(`/api/adopt/${id}`, { answers })
  }

  /** Remove an uploaded file that is not going to be a run. */
  async cancelAdoption(id: string): Promise<void> {
    await this.post(`/api/adopt/${id}/cancel`, {})
  }

  /** Send JSON with the token. Throws an ActError. */
  post<T>(path: string, body: object): Promise<T> {
    return this.#send<T>(path, 'application/json', JSON.stringify(body))
  }

  /** Return what a live file of a run would hold, with the text and the weights of a view. */
  disclosure(run: string, view: LiveView): Promise<Disclosure> {
    return this.post<Disclosure>(`${runPath(run)}/live`, { ...view, disclose: true })
  }

  /** Return a live file of a run that opens with a view. */
  async liveFile(run: string, view: LiveView): Promise<Blob> {
    return (await this.#answer(`${runPath(run)}/live`, 'application/json', JSON.stringify(view))).blob()
  }

  #star(run: string, act: object): Promise<{ stars: Star[] }> {
    return this.post(`${runPath(run)}/stars`, act)
  }

  #upload(path: string, file: File, signal?: AbortSignal): Promise<Adoption> {
    return this.#send<Adoption>(path, 'application/octet-stream', file, signal)
  }

  async #send<T>(path: string, type: string, body: BodyInit, signal?: AbortSignal): Promise<T> {
    return (await (await this.#answer(path, type, body, signal)).json().catch(throwLost)) as T
  }

  async #answer(path: string, type: string, body: BodyInit, signal?: AbortSignal): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      const options: RequestInit = {
        method: 'POST',
        headers: { ...language(), 'Content-Type': type, 'X-Gatescope-Token': await this.#currentToken() },
        body,
        ...(signal ? { signal } : {}),
      }
      try {
        return await checked(await fetch(this.base + path, options).catch(throwLost))
      } catch (error) {
        // The server was started again: this page is its own, too.
        if (attempt > 0 || !(error instanceof ActError) || error.code !== 'ACT_TOKEN_WRONG') throw error
        this.#token = null
      }
    }
  }

  #currentToken(): Promise<string> {
    this.#token ??= this.#get<{ token: string }>('/api/token').then(
      ({ token }) => token,
      (error: unknown) => {
        this.#token = null
        throw error
      },
    )
    return this.#token
  }

  async #get<T>(path: string): Promise<T> {
    return read<T>(await fetch(this.base + path, { headers: language() }).catch(throwLost))
  }
}

/** The language of the sentences of refusals. */
const language = (): Record<string, string> => ({ 'Accept-Language': catalogue.language })

const runPath = (name: string): string => `/api/runs/${encodeURIComponent(name)}`

const read = async <T>(answer: Response): Promise<T> => (await (await checked(answer)).json().catch(throwLost)) as T

/** Return an answer that is no refusal. Throws an ActError. */
async function checked(answer: Response): Promise<Response> {
  if (answer.ok) return answer
  const failure = (await answer.json().catch(() => null)) as Partial<Sentence> | null
  const sentence = failure?.error ?? text('SOURCE_FAILED', { status: answer.status })
  throw new ActError(sentence, failure?.code ?? null, failure?.values ?? {}, answer.status)
}

function throwLost(error: unknown): never {
  if (error instanceof DOMException && error.name === 'AbortError') throw error
  throw new ActError(text('SOURCE_LOST'), null)
}

/**
 * Return the view that an address shows: its parameters without the run and the language.
 *
 * @param shownText the text of the view, which may be missing in the query; null for the first example
 */
export function viewOf(parameters: URLSearchParams, shownText: string | null = null): StarView {
  const view: StarView = {}
  for (const name of new Set(parameters.keys())) {
    const values = parameters.getAll(name)
    if (!NOT_OF_VIEW.has(name)) view[name] = values.length > 1 ? values : values[0]!
  }
  // A long text stands behind the "#" or is stored in the window; a star keeps it in the run.
  if (shownText !== null) view.text = shownText
  return view
}

const NOT_OF_VIEW: ReadonlySet<string> = new Set(['run', 'lang', 'stored'])

/** Return the parameters of the address that shows a star of a run. */
export function parametersOf(run: string, view: StarView): URLSearchParams {
  const parameters = new URLSearchParams({ run })
  for (const [name, values] of Object.entries(view)) {
    for (const value of [values].flat()) parameters.append(name, value)
  }
  return parameters
}
