// SPDX-License-Identifier: Apache-2.0
package bench;

import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import org.apache.flink.statefun.flink.io.datastream.SinkFunctionSpec;
import org.apache.flink.statefun.flink.io.datastream.SourceFunctionSpec;
import org.apache.flink.statefun.sdk.Address;
import org.apache.flink.statefun.sdk.FunctionType;
import org.apache.flink.statefun.sdk.io.EgressIdentifier;
import org.apache.flink.statefun.sdk.io.IngressIdentifier;
import org.apache.flink.statefun.sdk.io.Router.Downstream;
import org.apache.flink.statefun.sdk.reqreply.generated.TypedValue;
import org.apache.flink.statefun.sdk.spi.StatefulFunctionModule;

/** What leads in and out of StateFun's runtime in a benchmark: a source and a sink in its own process. */
public final class LoadModule implements StatefulFunctionModule {
  private static final IngressIdentifier<Request> REQUESTS =
      new IngressIdentifier<>(Request.class, "bench", "requests");
  private static final EgressIdentifier<TypedValue> REPLIES =
      new EgressIdentifier<>("bench", "replies", TypedValue.class);
  private static final FunctionType COUNTER = new FunctionType("example", "counter");
  private static final FunctionType SPOUT = new FunctionType("example", "spout");
  private static final TypedValue ONE = longValue(1);

  @Override
  public void configure(Map<String, String> configuration, Binder binder) {
    binder.bindIngress(new SourceFunctionSpec<>(REQUESTS, new LoadSource()));
    binder.bindIngressRouter(REQUESTS, LoadModule::route);
    binder.bindEgress(new SinkFunctionSpec<>(REPLIES, new LoadSink()));
  }

  // Functions take TypedValue, whatever an ingress brings; the type parameter of a Downstream says otherwise.
  @SuppressWarnings({"unchecked", "rawtypes"})
  private static void route(Request request, Downstream<Request> downstream) {
    String id = Integer.toString(request.id);
    Downstream<Object> out = (Downstream) downstream;
    switch (request.kind) {
      case ASK -> out.forward(new Address(COUNTER, id), timed(request.began));
      case ADD -> out.forward(new Address(COUNTER, id), ONE);
      case SPOUT -> out.forward(new Address(SPOUT, id), longValue(Load.IDS));
    }
  }

  private static TypedValue timed(long began) {
    return value("bench/timed", ByteBuffer.allocate(8).putLong(0, began));
  }

  private static TypedValue longValue(long number) {
    ByteBuffer bytes = ByteBuffer.allocate(9).order(ByteOrder.LITTLE_ENDIAN);
    return value("io.statefun.types/long", bytes.put(0, (byte) 9).putLong(1, number));
  }

  private static TypedValue value(String typename, ByteBuffer bytes) {
    return TypedValue.newBuilder()
        .setTypename(typename)
        .setHasValue(true)
        .setValue(ByteString.copyFrom(bytes))
        .build();
  }
}
