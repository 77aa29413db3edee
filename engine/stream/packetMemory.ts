/** Memory for the packets of one commit after the other, used again: fresh memory for each costs more than the copying. */
import { streamConfig } from './config.ts';

export class PacketMemory {
  #slab = Buffer.alloc(0);
  #used = 0;

  /** Gives up all buffers that were given: what they held may be overwritten from now on. */
  reset(): void {
    if (this.#used > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.min(this.#used, streamConfig.packetMemoryBytesMax));
    }
    this.#used = 0;
  }

  /** A buffer until the next `reset`; of its own when the memory is used up. */
  readonly allocate = (bytes: number): Buffer => {
    const start = this.#used;
    this.#used += bytes;
    return this.#used <= this.#slab.length
      ? this.#slab.subarray(start, this.#used) : Buffer.allocUnsafeSlow(bytes);
  };
}
