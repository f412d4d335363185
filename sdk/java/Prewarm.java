// SPDX-License-Identifier: MIT

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A Java program as a coprocess, by FCLI (docs/protocol/fcli.md): {@code java Prewarm MAINCLASS}.
 *
 * <p>Started as a worker, it calls {@code MAINCLASS.main(arguments)} for each invocation, with the caller's
 * streams as System.in, out and err. Else it calls {@code main} once, with the arguments that follow.
 *
 * <p>A process of Java can't change its environment or directory. The invocation's are {@link #environment()}
 * and {@link #directory()}; programs are started with them by {@link #command}. README.md has what else
 * differs.
 */
public final class Prewarm {
    private static final int MAX_BYTES = 8_388_608;
    private static final int MAX_FIELDS = 131_072;
    private static final List<String> VARIABLES =
        List.of("FCLI_VERSION", "FCLI_REQUEST_FIFO", "FCLI_RESPONSE_FIFO");

    /** What names and arguments are written in: as the java command itself takes it. */
    private static final Charset NATIVE = Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8"));

    private static volatile Map<String, String> environment = startEnvironment();
    private static volatile Path directory = Path.of("").toAbsolutePath();
    private static volatile String name = "java";

    private Prewarm() {}

    /** The environment of this invocation. Not to be changed. */
    public static Map<String, String> environment() {
        return environment;
    }

    /** The working directory of this invocation: {@code directory().resolve(name)} is the file's path. */
    public static Path directory() {
        return directory;
    }

    /** The name by which the tool was called. */
    public static String name() {
        return name;
    }

    /** A program to be started with this invocation's environment and directory. */
    public static ProcessBuilder command(String... words) {
        ProcessBuilder builder = new ProcessBuilder(words).directory(directory.toFile());
        builder.environment().clear();
        builder.environment().putAll(environment);
        return builder;
    }

    public static void main(String[] arguments) throws Throwable {
        if (arguments.length == 0) {
            System.err.println("usage: java Prewarm MAINCLASS [ARGUMENT...]");
            System.exit(2);
        }
        Method tool = Class.forName(arguments[0]).getMethod("main", String[].class);
        tool.setAccessible(true);
        if (VARIABLES.stream().allMatch(variable -> System.getenv(variable) != null)) {
            new Worker(tool).run();
        }
        name = arguments[0];
        try {
            tool.invoke(null, (Object) Arrays.copyOfRange(arguments, 1, arguments.length));
        } catch (InvocationTargetException failure) {
            throw cut(failure.getCause(), tool);
        }
    }

    private static Map<String, String> startEnvironment() {
        Map<String, String> start = new LinkedHashMap<>(System.getenv());
        start.keySet().removeAll(VARIABLES);
        return Collections.unmodifiableMap(start);
    }

    /** A failure without the frames that are ours: its trace ends with the tool's main. */
    private static Throwable cut(Throwable failure, Method tool) {
        StackTraceElement[] frames = failure.getStackTrace();
        for (int last = frames.length - 1; last >= 0; last--) {
            if (frames[last].getClassName().equals(tool.getDeclaringClass().getName())
                && frames[last].getMethodName().equals("main")) {
                failure.setStackTrace(Arrays.copyOf(frames, last + 1));
                break;
            }
        }
        if (failure.getCause() != null) {
            cut(failure.getCause(), tool);
        }
        return failure;
    }

    // ---- messages ---------------------------------------------------------------------------------------

    /** What was received is no message: the worker ends. */
    private static final class NotAMessage extends IOException {
        private static final long serialVersionUID = 1;

        NotAMessage(String text) {
            super(text);
        }
    }

    /** The tool isn't run. */
    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1;
        final String reason;

        Refused(String reason, String text) {
            super(text);
            this.reason = reason;
        }
    }

    private record Field(String name, byte[] value) {
        String text() {
            return new String(value, NATIVE);
        }
    }

    private record Message(String type, long id, List<Field> fields) {
        String last(String name) {
            String found = null;
            for (Field field : fields) {
                if (field.name.equals(name)) {
                    found = field.text();
                }
            }
            return found;
        }

        List<String> all(String name) {
            return fields.stream().filter(field -> field.name.equals(name)).map(Field::text).toList();
        }
    }

    /** Reads messages: large pieces from the FIFO, lines out of them. */
    private static final class Reader {
        private final InputStream in;
        private final byte[] buffer = new byte[65536];
        private int start;
        private int end;
        private int size;

        Reader(InputStream in) {
            this.in = in;
        }

        /** Null at the end of everything. */
        Message next() throws IOException {
            size = 0;
            byte[] line = line(true);
            if (line == null) {
                return null;
            }
            String[] header = new String(line, StandardCharsets.ISO_8859_1).split(" ", -1);
            if (header.length != 3) {
                throw new NotAMessage("not a header");
            }
            checkName(header[0]);
            long id = number(header[1], 4_294_967_295L);
            int count = (int) number(header[2], MAX_FIELDS);
            List<Field> fields = new ArrayList<>();
            for (int field = 0; field < count; field++) {
                fields.add(field(line(false)));
            }
            return new Message(header[0], id, fields);
        }

        private byte[] line(boolean first) throws IOException {
            ByteArrayOutputStream pieces = null;
            while (true) {
                for (int at = start; at < end; at++) {
                    if (buffer[at] == '\n') {
                        byte[] line = Arrays.copyOfRange(buffer, start, at);
                        count(at + 1 - start);
                        start = at + 1;
                        if (pieces == null) {
                            return line;
                        }
                        pieces.write(line);
                        return pieces.toByteArray();
                    }
                }
                if (start < end) {
                    pieces = pieces == null ? new ByteArrayOutputStream() : pieces;
                    pieces.write(buffer, start, end - start);
                    count(end - start);
                }
                start = 0;
                end = in.read(buffer);
                if (end <= 0) {
                    end = 0;
                    if (first && pieces == null) {
                        return null;
                    }
                    throw new EOFException();
                }
            }
        }

        private void count(int bytes) throws NotAMessage {
            size += bytes;
            if (size > MAX_BYTES) {
                throw new NotAMessage("a message too large");
            }
        }

        private static Field field(byte[] line) throws NotAMessage {
            int blank = 0;
            while (blank < line.length && line[blank] != ' ') {
                blank++;
            }
            if (blank == line.length) {
                throw new NotAMessage("not a field");
            }
            String name = new String(line, 0, blank, StandardCharsets.ISO_8859_1);
            checkName(name);
            return new Field(name, decode(line, blank + 1));
        }

        private static byte[] decode(byte[] line, int from) throws NotAMessage {
            byte[] value = new byte[line.length - from];
            int length = 0;
            for (int at = from; at < line.length; at++) {
                byte next = line[at];
                if (next == 0) {
                    throw new NotAMessage("NUL");
                }
                if (next == '\\') {
                    at++;
                    if (at == line.length || line[at] != 'n' && line[at] != '\\') {
                        throw new NotAMessage("not an escape");
                    }
                    next = line[at] == 'n' ? (byte) '\n' : (byte) '\\';
                }
                value[length++] = next;
            }
            return Arrays.copyOf(value, length);
        }

        private static void checkName(String name) throws NotAMessage {
            boolean good = !name.isEmpty() && name.length() <= 31 && name.charAt(0) >= 'a' && name.charAt(0) <= 'z';
            for (int at = 0; good && at < name.length(); at++) {
                char letter = name.charAt(at);
                good = letter >= 'a' && letter <= 'z' || letter >= '0' && letter <= '9' || letter == '-';
            }
            if (!good) {
                throw new NotAMessage("not a name");
            }
        }

        private static long number(String text, long limit) throws NotAMessage {
            boolean good = text.matches("0|[1-9][0-9]{0,9}");
            if (!good || Long.parseLong(text) > limit) {
                throw new NotAMessage("not a number");
            }
            return Long.parseLong(text);
        }
    }

    private static Field field(String name, String value) {
        return new Field(name, value.getBytes(NATIVE));
    }

    private static byte[] write(String type, long id, List<Field> fields) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes((type + " " + id + " " + fields.size() + "\n").getBytes(StandardCharsets.US_ASCII));
        for (Field field : fields) {
            out.writeBytes((field.name + " ").getBytes(StandardCharsets.US_ASCII));
            for (byte next : field.value) {
                if (next == '\n' || next == '\\') {
                    out.write('\\');
                }
                out.write(next == '\n' ? 'n' : next);
            }
            out.write('\n');
        }
        return out.toByteArray();
    }

    // ---- the worker -------------------------------------------------------------------------------------

    private static final class Worker {
        private final Method tool;
        private final Reader requests;
        private final FileChannel answers;
        private final InputStream startIn = System.in;
        private final PrintStream startOut = System.out;
        private final PrintStream startErr = System.err;
        private Map<String, String> baseEnvironment = environment;
        private Path baseDirectory = directory;

        Worker(Method tool) throws IOException {
            this.tool = tool;
            requests = new Reader(new FileInputStream(System.getenv("FCLI_REQUEST_FIFO")));
            answers = FileChannel.open(Path.of(System.getenv("FCLI_RESPONSE_FIFO")), StandardOpenOption.WRITE);
        }

        /** Does not return. */
        void run() throws IOException {
            try {
                for (Message request = requests.next(); request != null; request = requests.next()) {
                    serve(request);
                }
            } catch (NotAMessage | EOFException end) {
                System.exit(1);
            }
            System.exit(0);
        }

        private void serve(Message request) throws IOException {
            try {
                switch (request.type) {
                    case "argv" -> status(request, invoke(request));
                    case "echo" -> answer("echo", request, request.fields);
                    case "flush" -> status(request, 0);
                    case "version" -> version(request);
                    case "cd" -> changeDirectory(request);
                    case "env" -> {
                        baseEnvironment = environmentOf(request);
                        status(request, 0);
                    }
                    default -> throw new Refused("unknown-request", "this worker doesn't know " + request.type);
                }
            } catch (Refused refusal) {
                answer("error", request,
                    List.of(field("reason", refusal.reason), field("message", refusal.getMessage())));
            }
        }

        private void answer(String type, Message request, List<Field> fields) throws IOException {
            ByteBuffer bytes = ByteBuffer.wrap(write(type, request.id, fields));
            while (bytes.hasRemaining()) {
                answers.write(bytes);
            }
        }

        private void status(Message request, int code) throws IOException {
            answer("status", request, List.of(field("exit", Integer.toString(code))));
        }

        private void version(Message request) throws IOException, Refused {
            List<String> versions = request.all("version");
            if (!versions.stream().allMatch(version -> version.matches("0|[1-9][0-9]*"))) {
                throw new Refused("message", "version wants numbers");
            }
            if (!versions.contains("1")) {
                throw new Refused("version", "this worker speaks version 1");
            }
            answer("version", request, List.of(field("version", "1"),
                field("implementation", "prewarm-java 0.1.0, Java " + System.getProperty("java.version"))));
        }

        private void changeDirectory(Message request) throws IOException, Refused {
            String path = request.last("cwd");
            if (path == null || !path.startsWith("/")) {
                throw new Refused("message", "cd wants an absolute path");
            }
            if (!canEnter(Path.of(path))) {
                answer("status", request, List.of(field("exit", "1"), field("message", "can't enter " + path)));
                return;
            }
            baseDirectory = Path.of(path);
            status(request, 0);
        }

        private static boolean canEnter(Path path) {
            return Files.isDirectory(path) && Files.isExecutable(path);
        }

        private Map<String, String> environmentOf(Message request) throws Refused {
            boolean clear = request.last("clear-env") != null;
            Map<String, String> result = clear ? new LinkedHashMap<>() : new LinkedHashMap<>(baseEnvironment);
            for (String variable : request.all("env")) {
                int equals = variable.indexOf('=');
                if (equals <= 0) {
                    throw new Refused("message", "env wants NAME=VALUE");
                }
                result.put(variable.substring(0, equals), variable.substring(equals + 1));
            }
            return Collections.unmodifiableMap(result);
        }

        /** One invocation: its exit status. */
        private int invoke(Message request) throws IOException, Refused {
            List<String> arguments = request.all("arg");
            String umask = request.last("umask");
            String cwd = request.last("cwd");
            if (arguments.isEmpty() || umask != null && !umask.matches("[0-7]{1,5}")
                || cwd != null && !cwd.startsWith("/")) {
                throw new Refused("message", "no arg, or a bad value");
            }
            Map<String, String> variables = environmentOf(request);
            Path where = cwd == null ? baseDirectory : Path.of(cwd);
            if (!canEnter(where)) {
                throw new Refused("cwd", "can't enter " + where);
            }
            try (Streams streams = new Streams(request)) {
                environment = variables;
                directory = where;
                name = arguments.get(0);
                streams.install();
                return call(arguments.subList(1, arguments.size()).toArray(String[]::new));
            } finally {
                System.setIn(startIn);
                System.setOut(startOut);
                System.setErr(startErr);
            }
        }

        private int call(String[] arguments) throws IOException {
            List<Thread> before = threads();
            int status = 0;
            try {
                tool.invoke(null, (Object) arguments);
            } catch (InvocationTargetException failure) {
                status = 1;
                System.err.print("Exception in thread \"main\" ");
                cut(failure.getCause(), tool).printStackTrace();
            } catch (IllegalAccessException failure) {
                throw new IllegalStateException(failure);
            }
            // As at the end of a process of its own.
            for (Thread thread : threads()) {
                if (!thread.isDaemon() && !before.contains(thread)) {
                    join(thread);
                }
            }
            System.out.flush();
            System.err.flush();
            return status;
        }

        private static List<Thread> threads() {
            Thread[] found = new Thread[Thread.activeCount() + 16];
            return List.of(Arrays.copyOf(found, Thread.enumerate(found)));
        }

        private static void join(Thread thread) {
            while (thread.isAlive()) {
                try {
                    thread.join();
                } catch (InterruptedException late) {
                    Thread.interrupted();
                }
            }
        }
    }

    /** Standard streams of one invocation. What isn't named is that of the start. */
    private static final class Streams implements AutoCloseable {
        private final List<AutoCloseable> open = new ArrayList<>();
        private InputStream in;
        private OutputStream out;
        private OutputStream err;

        Streams(Message request) throws Refused {
            String outPath = request.last("stdout");
            String errPath = request.last("stderr");
            try {
                in = request.last("stdin") == null ? null : keep(new FileInputStream(request.last("stdin")));
                out = outPath == null ? null : output(outPath);
                err = errPath == null ? null : errPath.equals(outPath) ? out : output(errPath);
            } catch (IOException failure) {
                close();
                throw new Refused("descriptors", failure.toString());
            }
        }

        private <T extends AutoCloseable> T keep(T stream) {
            open.add(stream);
            return stream;
        }

        private OutputStream output(String path) throws IOException {
            // Neither creates nor truncates.
            return Channels.newOutputStream(keep(FileChannel.open(Path.of(path), StandardOpenOption.WRITE)));
        }

        void install() {
            if (in != null) {
                System.setIn(new BufferedInputStream(in));
            }
            if (out != null) {
                System.setOut(print(out, "stdout.encoding"));
            }
            if (err != null) {
                System.setErr(print(err, "stderr.encoding"));
            }
        }

        /** As Java makes its own: each call of print is written at once. */
        private static PrintStream print(OutputStream stream, String property) {
            Charset charset = Charset.forName(System.getProperty(property, Charset.defaultCharset().name()));
            return new PrintStream(new BufferedOutputStream(stream, 8192), true, charset);
        }

        @Override
        public void close() {
            for (AutoCloseable stream : open) {
                try {
                    stream.close();
                } catch (Exception ignored) {
                    // There is nothing left to be done with it.
                }
            }
        }
    }
}
