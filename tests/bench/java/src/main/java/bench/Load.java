// SPDX-License-Identifier: Apache-2.0
package bench;

import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;

/**
 * The load that source and sinks are to make: what ties them, all in one JVM, to the thread that measures. Sources take
 * a permit for each message they emit; an answer gives it back while asks go on, so the permits are the asks in flight.
 */
final class Load {
  /** What a source emits for a permit: one of the functions' messages. */
  enum Kind {
    ASK,
    ADD,
    SPOUT
  }

  static final int IDS = 10_000;
  private static final int SAMPLES_MAX = 4_000_000;
  private static final int UNBOUNDED = 1 << 30;

  static volatile Kind kind = Kind.ASK;
  static volatile boolean isDurable; // a reply counts once its checkpoint is complete
  static final AtomicInteger spouts = new AtomicInteger();

  private static final Semaphore PERMITS = new Semaphore(0);
  private static volatile boolean isOpen; // answers give their permit back
  private static volatile boolean isRecording;
  private static final AtomicInteger IN_FLIGHT = new AtomicInteger();
  private static final LongAdder ANSWERS = new LongAdder();
  private static final long[] TIMES = new long[SAMPLES_MAX];
  private static final AtomicInteger SAMPLES = new AtomicInteger();

  private Load() {}

  /** For a source: true if it may emit a message now; waits a little for it. */
  static boolean take() throws InterruptedException {
    if (!PERMITS.tryAcquire(20, TimeUnit.MILLISECONDS)) {
      return false;
    }
    if (kind == Kind.ASK) {
      IN_FLIGHT.incrementAndGet();
    }
    return true;
  }

  /** For a sink: the answer to an ask that was emitted at `began`. */
  static void answered(long began) {
    ANSWERS.increment();
    if (isRecording) {
      int sample = SAMPLES.getAndIncrement();
      if (sample < SAMPLES_MAX) {
        TIMES[sample] = System.nanoTime() - began;
      }
    }
    IN_FLIGHT.decrementAndGet();
    if (isOpen) {
      PERMITS.release();
    }
  }

  /** Keeps so many asks in flight for so long; what came of it, as JSON. */
  static String ask(int window, double seconds) throws InterruptedException {
    kind = Kind.ASK;
    isOpen = true;
    SAMPLES.set(0);
    long before = ANSWERS.sum();
    long began = System.nanoTime();
    isRecording = true;
    PERMITS.release(window);
    Thread.sleep((long) (seconds * 1000));
    isRecording = false;
    long answers = ANSWERS.sum() - before;
    double took = (System.nanoTime() - began) / 1e9;
    isOpen = false;
    PERMITS.drainPermits();
    while (IN_FLIGHT.get() > 0) {
      Thread.sleep(1);
    }
    long[] times = Arrays.copyOf(TIMES, Math.min(SAMPLES.get(), SAMPLES_MAX));
    Arrays.sort(times);
    return String.format(
        Locale.ROOT,
        "{\"answers\": %d, \"seconds\": %.6f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}",
        answers,
        took,
        quantile(times, 0.5),
        quantile(times, 0.99));
  }

  private static double quantile(long[] sorted, double share) {
    return sorted.length == 0 ? 0 : sorted[(int) (share * (sorted.length - 1))] / 1e6;
  }

  /** Emits plain messages, as fast as the runtime takes them, for so long. */
  static void flood(double seconds) throws InterruptedException {
    kind = Kind.ADD;
    PERMITS.release(UNBOUNDED);
    Thread.sleep((long) (seconds * 1000));
    PERMITS.drainPermits();
  }

  /** Emits so many messages to spouts. */
  static void burst(int messages) {
    kind = Kind.SPOUT;
    PERMITS.release(messages);
  }
}
