// SPDX-License-Identifier: Apache-2.0
package bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Map;
import org.apache.flink.statefun.flink.harness.Harness;
import statefun.RuntimeHost;

/**
 * StateFun's runtime under load. Takes one command a line and answers each with a line of JSON: `ask WINDOW SECONDS`,
 * `durable WINDOW SECONDS`, `flood SECONDS`, `burst MESSAGES`. Ends with its standard input.
 *
 * <p>Arguments: key=value; module, checkpoints (a folder), interval (of checkpoints) and buffer (how long a message may
 * wait for company on its way between tasks) must be there.
 */
public final class LoadHost {
  private LoadHost() {}

  private static String perform(String[] words) throws InterruptedException {
    String answer = "{}";
    switch (words[0]) {
      case "ask", "durable" -> {
        Load.isDurable = words[0].equals("durable");
        answer = Load.ask(Integer.parseInt(words[1]), Double.parseDouble(words[2]));
      }
      case "flood" -> Load.flood(Double.parseDouble(words[1]));
      case "burst" -> Load.burst(Integer.parseInt(words[1]));
      default -> throw new IllegalArgumentException(words[0]);
    }
    return answer;
  }

  private static void run(Harness harness) {
    try {
      harness.start();
    } catch (Exception failure) {
      failure.printStackTrace();
    }
    Runtime.getRuntime().halt(1); // a job that ends has failed
  }

  public static void main(String[] arguments) throws IOException, InterruptedException {
    Map<String, String> options = RuntimeHost.options(arguments);
    Harness harness =
        RuntimeHost.harness(options.get("module"), options.get("checkpoints"), options.get("interval"))
            .withConfiguration("execution.buffer-timeout", options.get("buffer"))
            .withConfiguration("restart-strategy", "none");
    new Thread(() -> run(harness), "job").start();
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      System.out.println(perform(line.split(" ")));
    }
    Runtime.getRuntime().halt(0);
  }
}
