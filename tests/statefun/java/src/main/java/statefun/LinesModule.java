// SPDX-License-Identifier: Apache-2.0
package statefun;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import java.util.Base64;
import java.util.Map;
import org.apache.flink.statefun.flink.io.datastream.SinkFunctionSpec;
import org.apache.flink.statefun.flink.io.datastream.SourceFunctionSpec;
import org.apache.flink.statefun.sdk.Address;
import org.apache.flink.statefun.sdk.Context;
import org.apache.flink.statefun.sdk.FunctionType;
import org.apache.flink.statefun.sdk.StatefulFunction;
import org.apache.flink.statefun.sdk.io.EgressIdentifier;
import org.apache.flink.statefun.sdk.io.IngressIdentifier;
import org.apache.flink.statefun.sdk.io.Router.Downstream;
import org.apache.flink.statefun.sdk.reqreply.generated.FromFunction.Invocation;
import org.apache.flink.statefun.sdk.reqreply.generated.TypedValue;
import org.apache.flink.statefun.sdk.spi.StatefulFunctionModule;

/**
 * What leads in and out: lines of text. A line of the input is an Invocation (target and argument) in base64; a second
 * word makes it an ask with that invocation id. A line of the output is the name of an egress and a TypedValue in base64.
 *
 * <p>An ask is a message whose caller is proa/reply/INVOCATION, as on a Proa host: here that is a function, which passes
 * it on, and passes the answer on to the egress proa/replies, as an Invocation whose target is that caller.
 */
public final class LinesModule implements StatefulFunctionModule {
  private static final IngressIdentifier<String> LINES = new IngressIdentifier<>(String.class, "lines", "in");
  private static final FunctionType REPLY = new FunctionType("proa", "reply");
  private static final EgressIdentifier<TypedValue> REPLIES = egress("proa/replies");
  private static final String ASK = "lines/ask";

  @Override
  public void configure(Map<String, String> configuration, Binder binder) {
    String output = configuration.get("output");
    binder.bindIngress(new SourceFunctionSpec<>(LINES, new LineSource(configuration.get("input"))));
    binder.bindIngressRouter(LINES, LinesModule::route);
    binder.bindFunctionProvider(REPLY, type -> new Asker());
    binder.bindEgress(new SinkFunctionSpec<>(REPLIES, new LineSink(output, "proa/replies")));
    for (String name : configuration.get("egresses").split(",")) {
      binder.bindEgress(new SinkFunctionSpec<>(egress(name), new LineSink(output, name)));
    }
  }

  private static EgressIdentifier<TypedValue> egress(String name) {
    String[] parts = name.split("/");
    return new EgressIdentifier<>(parts[0], parts[1], TypedValue.class);
  }

  // Functions take TypedValue, whatever an ingress brings; the type parameter of a Downstream says otherwise.
  @SuppressWarnings({"unchecked", "rawtypes"})
  private static void route(String line, Downstream<String> downstream) {
    String[] words = line.split(" ");
    Invocation message = invocation(Base64.getDecoder().decode(words[0]));
    if (words.length == 1) {
      ((Downstream) downstream).forward(addressOf(message.getTarget()), message.getArgument());
    } else {
      ((Downstream) downstream).forward(new Address(REPLY, words[1]), packed(ASK, message));
    }
  }

  private static Invocation invocation(byte[] bytes) {
    try {
      return Invocation.parseFrom(bytes);
    } catch (InvalidProtocolBufferException error) {
      throw new IllegalArgumentException(error);
    }
  }

  private static Address addressOf(org.apache.flink.statefun.sdk.reqreply.generated.Address address) {
    return new Address(new FunctionType(address.getNamespace(), address.getType()), address.getId());
  }

  private static TypedValue packed(String typename, MessageLite message) {
    return TypedValue.newBuilder()
        .setTypename(typename)
        .setHasValue(true)
        .setValue(message.toByteString())
        .build();
  }

  /** The function proa/reply; its id is that of the ask. */
  private static final class Asker implements StatefulFunction {
    @Override
    public void invoke(Context context, Object input) {
      TypedValue value = (TypedValue) input;
      if (value.getTypename().equals(ASK)) {
        Invocation message = invocation(value.getValue().toByteArray());
        context.send(addressOf(message.getTarget()), message.getArgument());
      } else {
        context.send(REPLIES, packed("lines/reply", reply(context.self(), value)));
      }
    }

    private static Invocation reply(Address self, TypedValue value) {
      return Invocation.newBuilder()
          .setTarget(
              org.apache.flink.statefun.sdk.reqreply.generated.Address.newBuilder()
                  .setNamespace(self.type().namespace())
                  .setType(self.type().name())
                  .setId(self.id()))
          .setArgument(value)
          .build();
    }
  }
}
