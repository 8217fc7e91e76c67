// SPDX-License-Identifier: Apache-2.0
package bench;

import java.util.SplittableRandom;
import org.apache.flink.streaming.api.functions.source.RichParallelSourceFunction;

/** Emits messages to random ids as the load says. Nothing is replayed: no benchmark restarts. */
final class LoadSource extends RichParallelSourceFunction<Request> {
  private static final long serialVersionUID = 1;

  private volatile boolean isRunning = true;

  @Override
  public void run(SourceContext<Request> context) throws InterruptedException {
    SplittableRandom random = new SplittableRandom(getRuntimeContext().getIndexOfThisSubtask());
    while (isRunning) {
      if (Load.take()) {
        Request request = new Request();
        request.kind = Load.kind;
        request.id = request.kind == Load.Kind.SPOUT ? Load.spouts.getAndIncrement() : 1 + random.nextInt(Load.IDS);
        request.began = System.nanoTime();
        synchronized (context.getCheckpointLock()) {
          context.collect(request);
        }
      }
    }
  }

  @Override
  public void cancel() {
    isRunning = false;
  }
}
