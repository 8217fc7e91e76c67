// SPDX-License-Identifier: Apache-2.0
package bench;

import io.undertow.Undertow;
import io.undertow.server.HttpServerExchange;
import io.undertow.util.Headers;
import io.undertow.util.Methods;
import java.net.InetSocketAddress;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.LongAdder;
import org.apache.flink.statefun.sdk.java.Address;
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
import org.apache.flink.statefun.sdk.java.slice.Slice;
import org.apache.flink.statefun.sdk.java.slice.Slices;
import org.apache.flink.statefun.sdk.java.types.SimpleType;
import org.apache.flink.statefun.sdk.java.types.Type;

/**
 * The function server that both hosts call in a benchmark: the counter, and a spout that makes messages for it, on
 * StateFun's Java SDK behind Undertow's IO threads. Prints {"port": N} once it listens on 127.0.0.1. GET answers how
 * many messages the counter has handled.
 */
public final class CounterServer {
  private static final TypeName COUNTER = TypeName.typeNameOf("example", "counter");
  private static final TypeName SPOUT = TypeName.typeNameOf("example", "spout");
  private static final TypeName REPLIES = TypeName.typeNameOf("bench", "replies");
  private static final ValueSpec<Long> TOTAL = ValueSpec.named("total").withLongType();

  /** An ask of StateFun's own source: what it says is said again to the egress that its asker reads. */
  private static final Type<byte[]> TIMED =
      SimpleType.simpleImmutableTypeFrom(TypeName.typeNameOf("bench", "timed"), bytes -> bytes, bytes -> bytes);

  private static final int THREADS = 2;
  private static final LongAdder HANDLED = new LongAdder();

  private final RequestReplyHandler functions;

  private CounterServer(RequestReplyHandler functions) {
    this.functions = functions;
  }

  /** Adds a message to `total`, and answers who asked. */
  private static final class Counter implements StatefulFunction {
    @Override
    public CompletableFuture<Void> apply(Context context, Message message) {
      HANDLED.increment();
      boolean isTimed = message.is(TIMED);
      long total = context.storage().get(TOTAL).orElse(0L) + (isTimed ? 1 : message.asLong());
      context.storage().set(TOTAL, total);
      if (isTimed) {
        context.send(EgressMessageBuilder.forEgress(REPLIES).withCustomType(TIMED, message.as(TIMED)).build());
      } else if (context.caller().isPresent()) {
        reply(context, context.caller().get(), total);
      }
      return context.done();
    }

    /** An ask of a Proa host; other callers want no answer. */
    private static void reply(Context context, Address caller, long total) {
      if (caller.type().namespace().equals("proa")) {
        context.send(MessageBuilder.forAddress(caller).withValue(total).build());
      }
    }
  }

  /** Sends one to each counter from 1 up to the number it is sent. */
  private static final class Spout implements StatefulFunction {
    @Override
    public CompletableFuture<Void> apply(Context context, Message message) {
      long count = message.asLong();
      for (long id = 1; id <= count; id++) {
        context.send(MessageBuilder.forAddress(COUNTER, Long.toString(id)).withValue(1L).build());
      }
      return context.done();
    }
  }

  private void handle(HttpServerExchange exchange) {
    if (exchange.getRequestMethod().equals(Methods.GET)) {
      exchange.getResponseSender().send(HANDLED.toString());
    } else {
      exchange.getRequestReceiver().receiveFullBytes(this::call);
    }
  }

  /** Both functions end before they return, so the join never waits. */
  private void call(HttpServerExchange exchange, byte[] body) {
    try {
      Slice answer = functions.handle(Slices.wrap(body)).join();
      exchange.getResponseHeaders().put(Headers.CONTENT_TYPE, "application/octet-stream");
      exchange.getResponseSender().send(answer.asReadOnlyByteBuffer());
    } catch (RuntimeException failure) {
      failure.printStackTrace();
      exchange.setStatusCode(500).endExchange();
    }
  }

  public static void main(String[] arguments) {
    StatefulFunctions functions = new StatefulFunctions();
    functions.withStatefulFunction(
        StatefulFunctionSpec.builder(COUNTER).withValueSpec(TOTAL).withSupplier(Counter::new).build());
    functions.withStatefulFunction(StatefulFunctionSpec.builder(SPOUT).withSupplier(Spout::new).build());
    CounterServer server = new CounterServer(functions.requestReplyHandler());
    Undertow undertow =
        Undertow.builder()
            .addHttpListener(0, "127.0.0.1")
            .setIoThreads(THREADS)
            .setWorkerThreads(THREADS)
            .setHandler(server::handle)
            .build();
    undertow.start();
    InetSocketAddress address = (InetSocketAddress) undertow.getListenerInfo().get(0).getAddress();
    System.out.println("{\"port\": " + address.getPort() + "}");
  }
}
