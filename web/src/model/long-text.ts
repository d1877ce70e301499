// Texts that are too long to be read.
import type { Run } from '../data/run'
import { SourceError } from '../data/source'
import { text } from '../messages/text'
import { maxCharacters } from './first-request'

/** Refuse a text that the server would refuse, before it is sent: a request of a megabyte has another reason. */
export function refuseLong(run: Run, words: string): void {
  const most = maxCharacters(run)
  const characters = words.length > most ? [...words].length : 0
  if (characters > most) throw new SourceError(text('TEXT_TOO_LARGE', { most, characters }))
}
