// Requests for trainings on the machine of the server, and the text of a file.
import { text } from '../messages/text'
import type { Acts } from './acts'
import { SourceError } from './source-error'

/** A text to learn from. Its content is sent with the request that begins the training alone. */
export interface OwnText {
  file: string
  content: string
}

/** The largest file; src/gatescope/explorer/training_words.py has the same. */
export const MAX_FILE_BYTES = 16 << 20

export interface Begun {
  /** The name of the run. */
  run: string
  /** The command that the server runs, as it is typed in a shell. */
  command: string
}

/** Return the command of a training that does not begin yet. Throws an ActError. */
export const commandOf = (acts: Acts, request: object): Promise<Begun> =>
  acts.post('/api/train', { ...request, check: true })

/** Begin a training; resolves once it has its first weights. Throws an ActError. */
export const beginTraining = (acts: Acts, request: object, own: OwnText | null): Promise<Begun> =>
  acts.post('/api/train', { ...request, text: own?.content ?? null })

/** Return the text of a file. Throws a SourceError if it is too long, or not in UTF-8. */
export async function readOwnText(file: File): Promise<OwnText> {
  if (file.size > MAX_FILE_BYTES)
    throw new SourceError(text('MACHINE_FILE_TOO_LARGE', { file: file.name, most: MAX_FILE_BYTES, size: file.size }))
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    return { file: file.name, content: decoder.decode(await file.arrayBuffer()) }
  } catch {
    throw new SourceError(text('MACHINE_FILE_ENCODING', { file: file.name }))
  }
}
