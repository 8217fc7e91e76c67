// SPDX-License-Identifier: Apache-2.0
package bench;

import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.statefun.sdk.reqreply.generated.TypedValue;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.sink.SinkFunction;

/**
 * Takes the answers: as they come, or, of a durable load, once the checkpoint that covers them is complete, which is
 * when a transactional sink would let them out.
 */
final class LoadSink implements SinkFunction<TypedValue>, CheckpointedFunction, CheckpointListener {
  private static final long serialVersionUID = 1;

  private transient List<Long> uncovered;
  private transient NavigableMap<Long, List<Long>> covered; // by checkpoint

  @Override
  public void invoke(TypedValue value, Context context) {
    long began = value.getValue().asReadOnlyByteBuffer().getLong();
    if (Load.isDurable) {
      uncovered.add(began);
    } else {
      Load.answered(began);
    }
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) {
    covered.put(context.getCheckpointId(), uncovered);
    uncovered = new ArrayList<>();
  }

  @Override
  public void notifyCheckpointComplete(long checkpoint) {
    NavigableMap<Long, List<Long>> complete = covered.headMap(checkpoint, true);
    complete.values().forEach(times -> times.forEach(Load::answered));
    complete.clear();
  }

  @Override
  public void initializeState(FunctionInitializationContext context) {
    uncovered = new ArrayList<>();
    covered = new TreeMap<>();
  }
}
