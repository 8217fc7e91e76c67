// SPDX-License-Identifier: Apache-2.0
package statefun;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.source.SourceFunction;

/** Emits the lines of a file and those that are added to it; where it stands is part of every checkpoint. */
final class LineSource implements SourceFunction<String>, CheckpointedFunction {
  private static final long serialVersionUID = 1;
  private static final int POLL_MS = 5;

  private final String path;
  private volatile boolean isRunning = true;
  private transient ListState<Long> saved;
  private transient long position; // guarded by the checkpoint lock

  LineSource(String path) {
    this.path = path;
  }

  @Override
  public void run(SourceContext<String> context) throws IOException, InterruptedException {
    try (RandomAccessFile file = new RandomAccessFile(path, "r")) {
      while (isRunning) {
        byte[] lines = wholeLines(file);
        if (lines.length == 0) {
          Thread.sleep(POLL_MS);
        } else {
          emit(context, new String(lines, StandardCharsets.US_ASCII));
        }
      }
    }
  }

  /** What has been added, up to its last line end. */
  private byte[] wholeLines(RandomAccessFile file) throws IOException {
    byte[] added = new byte[(int) Math.min(file.length() - position, 1 << 20)];
    file.seek(position);
    file.readFully(added);
    int size = added.length;
    while (size > 0 && added[size - 1] != '\n') {
      size--;
    }
    return Arrays.copyOf(added, size);
  }

  private void emit(SourceContext<String> context, String lines) {
    for (String line : lines.split("\n")) {
      synchronized (context.getCheckpointLock()) {
        context.collect(line);
        position += line.length() + 1;
      }
    }
  }

  @Override
  public void cancel() {
    isRunning = false;
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    saved.clear();
    saved.add(position);
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    saved = context.getOperatorStateStore().getListState(new ListStateDescriptor<>("position", Long.class));
    for (long last : saved.get()) {
      position = last;
    }
  }
}
