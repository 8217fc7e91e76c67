// SPDX-License-Identifier: Apache-2.0
package statefun;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.statefun.flink.harness.Harness;

/**
 * StateFun's runtime in this JVM, serving the functions of a module file to the lines of a file (see LinesModule).
 * Arguments: key=value; module, input, output, checkpoints (a folder) and egresses (names, with commas) must be there.
 */
public final class RuntimeHost {
  private static final int PARALLELISM = 2;

  private RuntimeHost() {}

  /** A job that takes a checkpoint every so often; everything else is as the caller says. */
  public static Harness harness(String module, String checkpoints, String interval) {
    return new Harness()
        .withFlinkJobName("statefun")
        .withParallelism(PARALLELISM)
        .withConfiguration("statefun.remote.module-name", module)
        .withConfiguration("state.checkpoints.dir", checkpoints)
        .withConfiguration("state.backend", "hashmap")
        .withConfiguration("execution.checkpointing.interval", interval)
        .withConfiguration("execution.checkpointing.mode", "EXACTLY_ONCE")
        .withConfiguration("execution.buffer-timeout", "0 ms");
  }

  /** The arguments key=value of a program. */
  public static Map<String, String> options(String[] arguments) {
    Map<String, String> options = new HashMap<>();
    for (String argument : arguments) {
      String[] words = argument.split("=", 2);
      options.put(words[0], words[1]);
    }
    return options;
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, String> options = options(arguments);
    Harness harness =
        harness(options.get("module"), options.get("checkpoints"), "200 ms")
            .withConfiguration("restart-strategy", "fixed-delay")
            .withConfiguration("restart-strategy.fixed-delay.attempts", "1000")
            .withConfiguration("restart-strategy.fixed-delay.delay", "200 ms");
    for (String name : new String[] {"input", "output", "egresses"}) {
      harness.withGlobalConfiguration(name, options.get(name));
    }
    harness.start();
  }
}
