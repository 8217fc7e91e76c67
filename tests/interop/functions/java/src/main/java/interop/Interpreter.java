// SPDX-License-Identifier: Apache-2.0
package interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import org.apache.flink.statefun.sdk.java.Address;
import org.apache.flink.statefun.sdk.java.AddressScopedStorage;
import org.apache.flink.statefun.sdk.java.Context;
import org.apache.flink.statefun.sdk.java.StatefulFunction;
import org.apache.flink.statefun.sdk.java.StatefulFunctionSpec;
import org.apache.flink.statefun.sdk.java.StatefulFunctions;
import org.apache.flink.statefun.sdk.java.TypeName;
import org.apache.flink.statefun.sdk.java.ValueSpec;
import org.apache.flink.statefun.sdk.java.handler.RequestReplyHandler;
import org.apache.flink.statefun.sdk.java.message.EgressMessageBuilder;
import org.apache.flink.statefun.sdk.java.message.Message;
import org.apache.flink.statefun.sdk.java.message.MessageBuilder;
import org.apache.flink.statefun.sdk.java.slice.Slices;
import org.apache.flink.statefun.sdk.java.types.SimpleType;
import org.apache.flink.statefun.sdk.java.types.Type;
import org.apache.flink.statefun.sdk.java.types.Types;

/** The interpreter of ../README.md on StateFun's Java SDK, behind the JDK's own HTTP server. */
public final class Interpreter implements StatefulFunction {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Type<JsonNode> PROGRAM = jsonType("interop/program");
  private static final Type<JsonNode> SHOWN = jsonType("interop/shown");
  private static final TypeName PASSED = TypeName.typeNameFromString("interop/passed");
  private static final TypeName RECORDS = TypeName.typeNameFromString("interop/records");
  private static final TypeName PROBE = TypeName.typeNameFromString("probe/raw");
  private static final Map<String, Type<?>> TYPES = new LinkedHashMap<>();

  static {
    TYPES.put("bool", Types.booleanType());
    TYPES.put("int", Types.integerType());
    TYPES.put("long", Types.longType());
    TYPES.put("float", Types.floatType());
    TYPES.put("double", Types.doubleType());
    TYPES.put("string", Types.stringType());
  }

  private static final ValueSpec<Integer> TOTAL = ValueSpec.named("total").withIntType();
  private static final ValueSpec<String> WORD = ValueSpec.named("word").withUtf8StringType();
  private static final ValueSpec<String> BLOB = ValueSpec.named("blob").withUtf8StringType();
  private static final ValueSpec<String> SEEN = ValueSpec.named("seen").withUtf8StringType();

  private final String name;
  private final Map<String, ValueSpec<?>> specs = new LinkedHashMap<>();

  private Interpreter(String name, String countType) {
    this.name = name;
    add(ValueSpec.named("count").withCustomType(TYPES.get(countType)));
    add(TOTAL);
    add(WORD);
    add(BLOB);
    add(SEEN);
    add(ValueSpec.named("flag").withBooleanType());
    add(ValueSpec.named("brief").thatExpireAfterWrite(Duration.ofMillis(300)).withUtf8StringType());
    add(ValueSpec.named("idle").thatExpiresAfterCall(Duration.ofMillis(900)).withUtf8StringType());
  }

  private void add(ValueSpec<?> spec) {
    specs.put(spec.name(), spec);
  }

  @Override
  public CompletableFuture<Void> apply(Context context, Message message) {
    if (message.is(PROGRAM)) {
      new Task(context, message.as(PROGRAM)).run();
    } else if (message.valueTypeName().equals(PASSED)) {
      context.send(MessageBuilder.fromMessage(message).withTargetAddress(PROBE, name).build());
    } else {
      noteValue(context.storage(), message);
    }
    return context.done();
  }

  /** Puts a value that is no program into the log. */
  private static void noteValue(AddressScopedStorage storage, Message message) {
    for (Map.Entry<String, Type<?>> entry : TYPES.entrySet()) {
      if (message.is(entry.getValue())) {
        appendSeen(storage, entry.getKey() + ":" + message.as(entry.getValue()));
        return;
      }
    }
    appendSeen(storage, "other:" + message.valueTypeName().asTypeNameString());
  }

  private static void appendSeen(AddressScopedStorage storage, String text) {
    storage.set(SEEN, storage.get(SEEN).orElse("") + text + " ");
  }

  /** One message being handled. */
  private final class Task {
    private final Context context;
    private final AddressScopedStorage storage;
    private final JsonNode program;
    private final String caller;
    private final String answerTo;
    private boolean isAnswered;

    private Task(Context context, JsonNode program) {
      this.context = context;
      this.storage = context.storage();
      this.program = program;
      this.caller = context.caller().map(Interpreter::textOf).orElse(null);
      this.answerTo = program.hasNonNull("reply") ? program.get("reply").asText() : caller;
    }

    private void run() {
      String number = program.path("number").asText("");
      if (!number.isEmpty()) {
        appendSeen(storage, number);
      }
      for (JsonNode op : program.path("ops")) {
        perform(op);
      }
      if (!isAnswered && caller != null && caller.startsWith("proa/")) {
        answer(SHOWN, JSON.createObjectNode().put("number", number));
      }
    }

    private void perform(JsonNode op) {
      switch (op.get("kind").asText()) {
        case "add" -> storage.set(TOTAL, storage.get(TOTAL).orElse(0) + op.get("amount").asInt());
        case "blob" -> storage.set(BLOB, String.format("%-5000s", op.get("text").asText()));
        case "set" -> set(specs.get(op.get("state").asText()), op.get("value"));
        case "del" -> storage.remove(specs.get(op.get("state").asText()));
        case "note" -> storage.set(WORD, caller == null ? "nobody" : caller);
        case "emit" -> context.send(
            EgressMessageBuilder.forEgress(RECORDS).withValue(op.get("record").asText()).build());
        case "send" -> context.send(messageTo(target(op), PROGRAM, op.get("message")));
        case "delay" -> delay(op);
        case "cancel" -> context.cancelDelayedMessage(op.get("token").asText());
        case "send_value" -> context.send(valueTo(target(op), op));
        case "hand_on" -> handOn(op);
        case "reply" -> {
          isAnswered = true;
          context.send(valueTo(answerTo, op));
        }
        case "look" -> answer(SHOWN, shown());
        case "fail" -> fail(op);
        default -> throw new IllegalArgumentException("no such operation: " + op);
      }
    }

    private void answer(Type<JsonNode> type, JsonNode value) {
      isAnswered = true;
      if (answerTo != null) {
        context.send(messageTo(answerTo, type, value));
      }
    }

    private <T> void set(ValueSpec<T> spec, JsonNode value) {
      storage.set(spec, valueOf(spec.type(), value));
    }

    private void delay(JsonNode op) {
      Duration delay = Duration.ofMillis(op.get("delay_ms").asLong());
      Message message = messageTo(target(op), PROGRAM, op.get("message"));
      String token = op.path("token").asText("");
      if (token.isEmpty()) {
        context.sendAfter(delay, message);
      } else {
        context.sendAfter(delay, token, message);
      }
    }

    private void handOn(JsonNode op) {
      isAnswered = true;
      ObjectNode message = op.get("message").deepCopy();
      context.send(messageTo(target(op), PROGRAM, message.put("reply", answerTo)));
    }

    private JsonNode shown() {
      ObjectNode shown = JSON.createObjectNode();
      for (ValueSpec<?> spec : specs.values()) {
        Optional<?> value = storage.get(spec);
        shown.set(spec.name(), JSON.valueToTree(value.orElse(null)));
      }
      storage.get(BLOB).ifPresent(blob -> shown.put("blob", blob.substring(0, 40)));
      return shown.put("self", textOf(context.self())).put("caller", caller);
    }

    private void fail(JsonNode op) {
      if (!op.hasNonNull("file") || Files.exists(Path.of(op.get("file").asText()))) {
        throw new IllegalStateException("told to fail");
      }
    }
  }

  private static String target(JsonNode op) {
    return op.get("to").asText();
  }

  private static String textOf(Address address) {
    return address.type().asTypeNameString() + "/" + address.id();
  }

  private static Address addressOf(String text) {
    String[] parts = text.split("/", 3);
    return new Address(TypeName.typeNameOf(parts[0], parts[1]), parts[2]);
  }

  private static <T> Message messageTo(String to, Type<T> type, T value) {
    return MessageBuilder.forAddress(addressOf(to)).withCustomType(type, value).build();
  }

  private static Message valueTo(String to, JsonNode op) {
    return typedMessageTo(to, TYPES.get(op.get("type").asText()), op.get("value"));
  }

  private static <T> Message typedMessageTo(String to, Type<T> type, JsonNode value) {
    return messageTo(to, type, valueOf(type, value));
  }

  /** A JSON value as the Java class of a built-in type. */
  @SuppressWarnings("unchecked")
  private static <T> T valueOf(Type<T> type, JsonNode value) {
    Object found;
    if (type.equals(Types.booleanType())) {
      found = value.asBoolean();
    } else if (type.equals(Types.integerType())) {
      found = value.asInt();
    } else if (type.equals(Types.longType())) {
      found = value.asLong();
    } else if (type.equals(Types.floatType())) {
      found = (float) value.asDouble();
    } else if (type.equals(Types.doubleType())) {
      found = value.asDouble();
    } else {
      found = value.asText();
    }
    return (T) found;
  }

  private static Type<JsonNode> jsonType(String typename) {
    return SimpleType.simpleImmutableTypeFrom(
        TypeName.typeNameFromString(typename), JSON::writeValueAsBytes, JSON::readTree);
  }

  private static void serve(RequestReplyHandler handler, HttpExchange exchange) throws IOException {
    try (exchange) {
      byte[] request = exchange.getRequestBody().readAllBytes();
      byte[] answer;
      try {
        answer = handler.handle(Slices.wrap(request)).join().toByteArray();
      } catch (RuntimeException failure) {
        exchange.sendResponseHeaders(500, -1);
        return;
      }
      exchange.getResponseHeaders().set("Content-Type", "application/octet-stream");
      exchange.sendResponseHeaders(200, answer.length == 0 ? -1 : answer.length);
      exchange.getResponseBody().write(answer);
    }
  }

  /** Arguments: name, port, type of count. */
  public static void main(String[] arguments) throws IOException {
    Interpreter interpreter = new Interpreter(arguments[0], arguments[2]);
    StatefulFunctions functions = new StatefulFunctions();
    functions.withStatefulFunction(
        StatefulFunctionSpec.builder(TypeName.typeNameOf("interop", interpreter.name))
            .withValueSpecs(interpreter.specs.values().toArray(new ValueSpec<?>[0]))
            .withSupplier(() -> interpreter)
            .build());
    RequestReplyHandler handler = functions.requestReplyHandler();
    int port = Integer.parseInt(arguments[1]);
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.createContext("/statefun", exchange -> serve(handler, exchange));
    server.setExecutor(Executors.newFixedThreadPool(8));
    server.start();
  }
}
