// SPDX-License-Identifier: Apache-2.0
package bench;

/** A message on its way from a source to the router; public and mutable, as Flink's fast serialiser wants it. */
public class Request {
  public Load.Kind kind;
  public int id;
  public long began;
}
