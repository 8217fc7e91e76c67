// SPDX-License-Identifier: Apache-2.0
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import org.apache.flink.statefun.sdk.java.Context;
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

/** Greets users who log in and knows how often and when they came: two functions on StateFun's Java SDK. */
public final class Greeter {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Type<ObjectNode> LOGIN = jsonType("greeter.types/UserLogin");
  private static final Type<ObjectNode> PROFILE = jsonType("greeter.types/UserProfile");
  private static final Type<ObjectNode> EGRESS_RECORD = jsonType("io.statefun.playground/EgressRecord");
  private static final TypeName USER = TypeName.typeNameFromString("greeter.fns/user");
  private static final TypeName GREETINGS = TypeName.typeNameFromString("greeter.fns/greetings");
  private static final TypeName EGRESS = TypeName.typeNameFromString("io.statefun.playground/egress");
  private static final ValueSpec<Integer> SEEN_COUNT = ValueSpec.named("seen_count").withIntType();
  private static final ValueSpec<Long> SEEN_AT_MS = ValueSpec.named("seen_timestamp_ms").withLongType();

  private static Type<ObjectNode> jsonType(String name) {
    return SimpleType.simpleImmutableTypeFrom(
        TypeName.typeNameFromString(name),
        JSON::writeValueAsBytes,
        bytes -> (ObjectNode) JSON.readTree(bytes));
  }

  /** Counts the logins of one user and has the other function greet. */
  private static CompletableFuture<Void> user(Context context, Message message) {
    ObjectNode login = message.as(LOGIN);
    long nowMs = System.currentTimeMillis();
    int seen = context.storage().get(SEEN_COUNT).orElse(0) + 1;
    long sinceMs = nowMs - context.storage().get(SEEN_AT_MS).orElse(nowMs);
    context.storage().set(SEEN_COUNT, seen);
    context.storage().set(SEEN_AT_MS, nowMs);
    ObjectNode profile = JSON.createObjectNode();
    profile.put("name", login.get("user_name").asText()).put("login_location", login.get("login_type").asText());
    profile.put("seen_count", seen).put("last_seen_delta_ms", sinceMs);
    context.send(
        MessageBuilder.forAddress(GREETINGS, login.get("user_id").asText())
            .withCustomType(PROFILE, profile)
            .build());
    return context.done();
  }

  /** Finds the words and puts them into the topic `greetings`. */
  private static CompletableFuture<Void> greetings(Context context, Message message) {
    ObjectNode profile = message.as(PROFILE);
    int seen = profile.get("seen_count").asInt();
    String words = "Good day, " + profile.get("name").asText() + "!";
    if (seen > 1) {
      words += " This is visit number " + seen + ".";
    }
    context.send(
        EgressMessageBuilder.forEgress(EGRESS)
            .withCustomType(EGRESS_RECORD, JSON.createObjectNode().put("topic", "greetings").put("payload", words))
            .build());
    return context.done();
  }

  /** One call of the host; a status of 500 tells it that a function failed. */
  private static void answer(RequestReplyHandler handler, HttpExchange exchange) throws IOException {
    try (exchange) {
      byte[] body = handler.handle(Slices.wrap(exchange.getRequestBody().readAllBytes())).join().toByteArray();
      exchange.getResponseHeaders().set("Content-Type", "application/octet-stream");
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
    } catch (RuntimeException failure) {
      failure.printStackTrace();
      exchange.sendResponseHeaders(500, -1);
    }
  }

  public static void main(String[] arguments) throws IOException {
    StatefulFunctions functions = new StatefulFunctions();
    functions.withStatefulFunction(
        StatefulFunctionSpec.builder(USER)
            .withValueSpecs(SEEN_COUNT, SEEN_AT_MS)
            .withSupplier(() -> Greeter::user)
            .build());
    functions.withStatefulFunction(
        StatefulFunctionSpec.builder(GREETINGS).withSupplier(() -> Greeter::greetings).build());
    RequestReplyHandler handler = functions.requestReplyHandler();
    HttpServer server = HttpServer.create(new InetSocketAddress(1108), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext("/", exchange -> answer(handler, exchange));
    server.start();
  }
}
