// SPDX-License-Identifier: Apache-2.0
package statefun;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Base64;
import org.apache.flink.statefun.sdk.reqreply.generated.TypedValue;
import org.apache.flink.streaming.api.functions.sink.SinkFunction;

/** Adds a line to a file for each record of an egress: its name and the record. Many sinks may share the file. */
final class LineSink implements SinkFunction<TypedValue> {
  private static final long serialVersionUID = 1;

  private final String path;
  private final String name;

  LineSink(String path, String name) {
    this.path = path;
    this.name = name;
  }

  @Override
  public void invoke(TypedValue value, Context context) throws IOException {
    String line = name + " " + Base64.getEncoder().encodeToString(value.toByteArray()) + "\n";
    synchronized (LineSink.class) {
      Files.write(
          Path.of(path),
          line.getBytes(StandardCharsets.US_ASCII),
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
    }
  }
}
