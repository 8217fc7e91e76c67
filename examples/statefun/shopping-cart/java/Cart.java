// SPDX-License-Identifier: Apache-2.0
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import org.apache.flink.statefun.sdk.java.Address;
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

/**
 * Carts and the stock they are filled from: two functions on StateFun's Java SDK.
 *
 * <p>What is in a cart has left the stock, and what is in neither was bought: whatever fails, nothing is sold twice.
 */
public final class Cart {
  private static final ObjectMapper JSON = new ObjectMapper();

  record AddToCart(String userId, String itemId, int quantity) {}

  record Checkout(String userId) {}

  record ClearCart(String userId) {}

  record RestockItem(String itemId, int quantity) {}

  record RequestItem(int quantity) {}

  record ItemAvailability(String status, int quantity) {}

  record Receipt(String userId, String details) {}

  record Basket(TreeMap<String, Integer> basket) {}

  private static final Type<AddToCart> ADD_TO_CART = jsonType(AddToCart.class);
  private static final Type<Checkout> CHECKOUT = jsonType(Checkout.class);
  private static final Type<ClearCart> CLEAR_CART = jsonType(ClearCart.class);
  private static final Type<RestockItem> RESTOCK_ITEM = jsonType(RestockItem.class);
  private static final Type<RequestItem> REQUEST_ITEM = jsonType(RequestItem.class);
  private static final Type<ItemAvailability> ITEM_AVAILABILITY = jsonType(ItemAvailability.class);
  private static final Type<ObjectNode> EGRESS_RECORD =
      jsonType("io.statefun.playground/EgressRecord", ObjectNode.class);
  private static final TypeName STOCK = TypeName.typeNameFromString("com.example/stock");
  private static final TypeName CART = TypeName.typeNameFromString("com.example/user-shopping-cart");
  private static final TypeName EGRESS = TypeName.typeNameFromString("io.statefun.playground/egress");
  private static final ValueSpec<Integer> LEFT = ValueSpec.named("stock").withIntType();
  private static final ValueSpec<Basket> BASKET = ValueSpec.named("basket").withCustomType(jsonType(Basket.class));

  private static <T> Type<T> jsonType(String name, Class<T> form) {
    return SimpleType.simpleImmutableTypeFrom(
        TypeName.typeNameFromString(name), JSON::writeValueAsBytes, bytes -> JSON.readValue(bytes, form));
  }

  private static <T> Type<T> jsonType(Class<T> form) {
    return jsonType("com.example/" + form.getSimpleName(), form);
  }

  private static <T> void send(Context context, Address to, Type<T> type, T value) {
    context.send(MessageBuilder.forAddress(to).withCustomType(type, value).build());
  }

  /** How much there is of one item: its id is the item's. */
  private static CompletableFuture<Void> stock(Context context, Message message) {
    int left = context.storage().get(LEFT).orElse(0);
    if (message.is(RESTOCK_ITEM)) {
      context.storage().set(LEFT, left + message.as(RESTOCK_ITEM).quantity());
    } else if (message.is(REQUEST_ITEM)) {
      int quantity = message.as(REQUEST_ITEM).quantity();
      boolean isEnough = quantity <= left;
      if (isEnough) {
        context.storage().set(LEFT, left - quantity);
      }
      ItemAvailability answer = new ItemAvailability(isEnough ? "INSTOCK" : "OUTOFSTOCK", quantity);
      send(context, context.caller().orElseThrow(), ITEM_AVAILABILITY, answer);
    }
    return context.done();
  }

  /** What one user has in the cart: its id is the user's. */
  private static CompletableFuture<Void> cart(Context context, Message message) {
    Basket basket = context.storage().get(BASKET).orElseGet(() -> new Basket(new TreeMap<>()));
    if (message.is(ADD_TO_CART)) {
      AddToCart wanted = message.as(ADD_TO_CART);
      send(context, new Address(STOCK, wanted.itemId()), REQUEST_ITEM, new RequestItem(wanted.quantity()));
    } else if (message.is(ITEM_AVAILABILITY)) {
      ItemAvailability answer = message.as(ITEM_AVAILABILITY);
      if (answer.status().equals("INSTOCK")) {
        basket.basket().merge(context.caller().orElseThrow().id(), answer.quantity(), Integer::sum);
        context.storage().set(BASKET, basket);
      }
    } else if (message.is(CLEAR_CART)) {
      basket.basket().forEach((item, quantity) ->
          send(context, new Address(STOCK, item), RESTOCK_ITEM, new RestockItem(item, quantity)));
      context.storage().remove(BASKET);
    } else if (message.is(CHECKOUT) && !basket.basket().isEmpty()) {
      buy(context, basket);
    }
    return context.done();
  }

  private static void buy(Context context, Basket basket) {
    String details =
        basket.basket().entrySet().stream()
            .map(item -> item.getKey() + ": " + item.getValue())
            .collect(Collectors.joining(", "));
    String receipt = JSON.valueToTree(new Receipt(context.self().id(), details)).toString();
    context.send(
        EgressMessageBuilder.forEgress(EGRESS)
            .withCustomType(EGRESS_RECORD, JSON.createObjectNode().put("topic", "receipts").put("payload", receipt))
            .build());
    context.storage().remove(BASKET);
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
        StatefulFunctionSpec.builder(STOCK).withValueSpec(LEFT).withSupplier(() -> Cart::stock).build());
    functions.withStatefulFunction(
        StatefulFunctionSpec.builder(CART).withValueSpec(BASKET).withSupplier(() -> Cart::cart).build());
    RequestReplyHandler handler = functions.requestReplyHandler();
    HttpServer server = HttpServer.create(new InetSocketAddress(1108), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext("/", exchange -> answer(handler, exchange));
    server.start();
  }
}
