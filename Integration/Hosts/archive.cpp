// SPDX-License-Identifier: GPL-3.0-or-later
//
// A second gateway: a DICOM storage SCP that loads libgantry.so through gantry.h alone. It shows that Gantry is not
// tied to Orthanc, and it runs the same faults. An instance is durable before it is acknowledged: file, rename, fsync of
// both, one fsynced line in the log of stored instances, then the hook, then the C-STORE response.
//
//   archive <libgantry.so> <folder> <DICOM port> <control port> <settings JSON>
//
// The control port (loopback) takes one line and answers one line: status | worklist | study <uid> | count |
// review <uid> <json>.

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/diutil.h>
#include <dcmtk/dcmnet/scppool.h>
#include <dcmtk/dcmnet/scpthrd.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gantry.h"

namespace {

/// libgantry.so, found by name: nothing of it is linked.
struct Library {
    decltype(&gantry_open) open;
    decltype(&gantry_host_ready) host_ready;
    decltype(&gantry_close) close;
    decltype(&gantry_instance_stored) instance_stored;
    decltype(&gantry_review) review;
    decltype(&gantry_status_json) status_json;
    decltype(&gantry_worklist_json) worklist_json;
    decltype(&gantry_study_json) study_json;
    decltype(&gantry_text_free) text_free;

    explicit Library(const char *path) {
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) fail(dlerror());
        find(handle, "gantry_open", open);
        find(handle, "gantry_host_ready", host_ready);
        find(handle, "gantry_close", close);
        find(handle, "gantry_instance_stored", instance_stored);
        find(handle, "gantry_review", review);
        find(handle, "gantry_status_json", status_json);
        find(handle, "gantry_worklist_json", worklist_json);
        find(handle, "gantry_study_json", study_json);
        find(handle, "gantry_text_free", text_free);
    }

    [[noreturn]] static void fail(const std::string &why) {
        std::fprintf(stderr, "archive: %s\n", why.c_str());
        std::exit(1);
    }

private:
    template <typename Function>
    static void find(void *handle, const char *name, Function &function) {
        function = reinterpret_cast<Function>(dlsym(handle, name));
        if (function == nullptr) fail(std::string("the library has no ") + name);
    }
};

/// Files named by SOPInstanceUID, and the log of what was stored in which order.
class Archive {
public:
    explicit Archive(const std::string &folder) : folder_(folder) {
        mkdir(folder.c_str(), 0700);
        directory_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
        log_ = ::open((folder + "/log").c_str(), O_RDWR | O_CREAT | O_APPEND, 0600);
        if (directory_ < 0 || log_ < 0) Library::fail("cannot write in " + folder);
        // A line that a crash cut short was never acknowledged: end it, so that the next one stands alone.
        const off_t end = lseek(log_, 0, SEEK_END);
        char last = '\n';
        if (end > 0 && pread(log_, &last, 1, end - 1) == 1 && last != '\n') (void)!write(log_, "\n", 1);
    }

    std::string path(const std::string &instance) const { return folder_ + "/" + instance + ".dcm"; }

    std::string incoming() { return folder_ + "/incoming-" + std::to_string(getpid()) + "-" + std::to_string(++count_); }

    /// Makes a received file part of the archive; true when it survives a power loss from here on.
    bool keep(const std::string &incoming, const std::string &instance) {
        const int file = ::open(incoming.c_str(), O_RDONLY);
        if (file < 0) return false;
        const bool synced = fsync(file) == 0;
        ::close(file);
        if (!synced || rename(incoming.c_str(), path(instance).c_str()) != 0 || fsync(directory_) != 0) return false;
        const std::string line = instance + "\n";
        const std::lock_guard<std::mutex> guard(mutex_);
        return write(log_, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fdatasync(log_) == 0;
    }

    bool read(const std::string &instance, std::vector<char> &bytes) const {
        std::ifstream file(path(instance), std::ios::binary);
        if (!file) return false;
        bytes.assign(std::istreambuf_iterator<char>(file), {});
        return true;
    }

    /// One page of the log from byte `position` on.
    void page(off_t position, gantry_log_page &page) {
        char buffer[64 * 1024];
        const ssize_t size = pread(log_, buffer, sizeof buffer, position);
        ssize_t begin = 0;
        for (ssize_t index = 0; index < size; index++) {
            if (buffer[index] != '\n') continue;
            const std::string instance(buffer + begin, buffer + index);
            begin = index + 1;
            struct stat status;
            if (!instance.empty() && stat(path(instance).c_str(), &status) == 0) page.add(page.sink, instance.c_str());
        }
        page.end(page.sink, std::to_string(position + begin).c_str(), begin > 0 && size == sizeof buffer);
    }

    off_t logEnd() { return lseek(log_, 0, SEEK_END); }

    size_t count() {
        size_t lines = 0;
        std::ifstream log(folder_ + "/log");
        for (std::string line; std::getline(log, line);) lines += !line.empty();
        return lines;
    }

private:
    std::string folder_;
    int directory_ = -1;
    int log_ = -1;
    std::mutex mutex_;
    std::atomic<unsigned> count_{0};
};

Library *library;
Archive *archive;
gantry_gateway *gateway;

// MARK: What Gantry asks of the host

void writeLog(void *, int32_t level, const char *line) {
    static const char *const names[] = {"info", "warning", "error"};
    std::fprintf(stderr, "%s %s\n", level >= 0 && level < 3 ? names[level] : "error", line);
}

int32_t readInstance(void *, const char *instance, void **bytes, size_t *size) {
    std::vector<char> content;
    if (!archive->read(instance, content)) return GANTRY_NOT_FOUND;
    *bytes = std::malloc(content.empty() ? 1 : content.size());
    if (*bytes == nullptr) return GANTRY_NO_RESOURCES;
    std::memcpy(*bytes, content.data(), content.size());
    *size = content.size();
    return GANTRY_OK;
}

int32_t readLog(void *, const char *position, gantry_log_page *page) {
    if (position == nullptr)
        page->end(page->sink, std::to_string(archive->logEnd()).c_str(), 0);
    else
        archive->page(static_cast<off_t>(std::strtoll(position, nullptr, 10)), *page);
    return GANTRY_OK;
}

void tellGantry(const std::string &instance, const std::string &peer) {
    std::vector<char> bytes;
    if (!archive->read(instance, bytes)) return;
    gantry_instance stored = {};
    stored.struct_size = sizeof stored;
    stored.instance_id = instance.c_str();
    stored.calling_ae_title = peer.c_str();
    stored.bytes = bytes.data();
    stored.size = bytes.size();
    // Whatever it returns, the instance is in the log, where Gantry finds it.
    library->instance_stored(gateway, &stored);
}

/// Whether a SOPInstanceUID can be a file's name.
bool isUsable(const std::string &instance) {
    return !instance.empty() && instance.find_first_not_of("0123456789.") == std::string::npos;
}

int32_t storeInstance(void *, const void *bytes, size_t size) {
    const std::string incoming = archive->incoming();
    std::ofstream file(incoming, std::ios::binary);
    file.write(static_cast<const char *>(bytes), static_cast<std::streamsize>(size));
    file.close();
    if (!file) {
        unlink(incoming.c_str());
        return GANTRY_UNAVAILABLE;
    }
    DcmFileFormat object;
    OFString uid;
    const bool isObject = object.loadFileUntilTag(incoming.c_str(), EXS_Unknown, EGL_noChange, DCM_MaxReadLength,
                                                  ERM_autoDetect, DCM_PatientName).good() &&
                          object.getDataset()->findAndGetOFString(DCM_SOPInstanceUID, uid).good();
    const std::string instance(uid.c_str());
    int32_t code = GANTRY_OK;
    if (!isObject || !isUsable(instance)) code = GANTRY_BAD_ARGUMENT;
    else if (access(archive->path(instance).c_str(), F_OK) == 0) unlink(incoming.c_str());
    else if (archive->keep(incoming, instance)) tellGantry(instance, "");
    else code = GANTRY_UNAVAILABLE;
    if (code != GANTRY_OK) unlink(incoming.c_str());
    return code;
}

// MARK: DICOM

/// One association on a thread of the pool.
class StorageSCP : public DcmThreadSCP {
protected:
    OFCondition handleIncomingCommand(T_DIMSE_Message *message, const DcmPresentationContextInfo &context) override {
        if (message->CommandField == DIMSE_C_ECHO_RQ)
            return handleECHORequest(message->msg.CEchoRQ, context.presentationContextID);
        if (message->CommandField != DIMSE_C_STORE_RQ) return DIMSE_BADCOMMANDTYPE;
        T_DIMSE_C_StoreRQ &request = message->msg.CStoreRQ;
        const std::string incoming = archive->incoming();
        OFCondition condition = receiveSTORERequest(request, context.presentationContextID, incoming.c_str());
        if (condition.bad()) {
            unlink(incoming.c_str());
            return condition;
        }
        const std::string instance = request.AffectedSOPInstanceUID;
        const bool kept = isUsable(instance) && archive->keep(incoming, instance);
        if (kept) tellGantry(instance, getPeerAETitle().c_str());
        else unlink(incoming.c_str());
        return sendSTOREResponse(
            context.presentationContextID, request, kept ? STATUS_Success : STATUS_STORE_Refused_OutOfResources);
    }
};

DcmSCPPool<StorageSCP> *pool;

void configure(DcmSCPConfig &config, unsigned short port) {
    config.setPort(port);
    config.setAETitle("ARCHIVE");
    config.setRespondWithCalledAETitle(OFTrue);
    config.setConnectionBlockingMode(DUL_NOBLOCK);
    config.setConnectionTimeout(1);
    static const char *const syntaxes[] = {
        UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax,
        UID_JPEGProcess14SV1TransferSyntax,     UID_JPEGProcess1TransferSyntax,
        UID_JPEGLSLosslessTransferSyntax,       UID_RLELosslessTransferSyntax,
        UID_JPEG2000LosslessOnlyTransferSyntax, UID_JPEG2000TransferSyntax,
    };
    OFList<OFString> list;
    for (const char *syntax : syntaxes) list.push_back(syntax);
    for (int index = 0; index < numberOfDcmAllStorageSOPClassUIDs; index++) {
        // 128 presentation contexts are what an association can hold; the storage classes are more than that only
        // with the retired ones, which come last.
        if (index < 120) config.addPresentationContext(dcmAllStorageSOPClassUIDs[index], list);
    }
    OFList<OFString> echo;
    echo.push_back(UID_LittleEndianImplicitTransferSyntax);
    config.addPresentationContext(UID_VerificationSOPClass, echo);
}

// MARK: Control

std::string answer(const std::string &line) {
    gantry_text text = {};
    text.struct_size = sizeof text;
    const size_t space = line.find(' ');
    const std::string verb = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    int32_t code = GANTRY_BAD_ARGUMENT;
    if (verb == "count") return std::to_string(archive->count());
    if (verb == "status") code = library->status_json(gateway, &text);
    if (verb == "worklist") code = library->worklist_json(gateway, 0, &text);
    if (verb == "study") code = library->study_json(gateway, rest.c_str(), &text);
    if (verb == "review") {
        const size_t cut = rest.find(' ');
        if (cut != std::string::npos)
            code = library->review(gateway, rest.substr(0, cut).c_str(), rest.c_str() + cut + 1, rest.size() - cut - 1, &text);
    }
    std::string reply = text.bytes != nullptr && code == GANTRY_OK ? std::string(text.bytes, text.length)
                                                                   : "error " + std::to_string(code);
    library->text_free(&text);
    return reply;
}

void serveControl(int listener) {
    for (;;) {
        const int peer = accept(listener, nullptr, nullptr);
        if (peer < 0) return;
        std::string line;
        char letter;
        while (line.size() < 65536 && read(peer, &letter, 1) == 1 && letter != '\n') line.push_back(letter);
        const std::string reply = answer(line) + "\n";
        for (size_t sent = 0; sent < reply.size();) {
            const ssize_t size = write(peer, reply.data() + sent, reply.size() - sent);
            if (size <= 0) break;
            sent += static_cast<size_t>(size);
        }
        close(peer);
    }
}

int listenOnLoopback(unsigned short port) {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || listen(listener, 16) != 0)
        Library::fail("cannot listen on the control port");
    return listener;
}

}  // namespace

int main(int count, char **arguments) {
    if (count != 6) Library::fail("usage: archive LIBGANTRY FOLDER DICOM-PORT CONTROL-PORT SETTINGS-JSON");
    signal(SIGPIPE, SIG_IGN);
    // Threads inherit the mask, so that sigwait below is the only taker.
    sigset_t endings;
    sigemptyset(&endings);
    sigaddset(&endings, SIGTERM);
    sigaddset(&endings, SIGINT);
    pthread_sigmask(SIG_BLOCK, &endings, nullptr);

    library = new Library(arguments[1]);
    archive = new Archive(arguments[2]);

    gantry_host host = {};
    host.struct_size = sizeof host;
    host.log = writeLog;
    host.read_instance = readInstance;
    host.read_log = readLog;
    host.store_instance = storeInstance;
    gantry_options options = {};
    options.struct_size = sizeof options;
    options.host = &host;
    options.settings_json = arguments[5];
    const std::string state = std::string(arguments[2]) + "/gantry";
    options.state_directory = state.c_str();
    options.name = "archive";
    char error[512] = "";
    if (library->open(&options, &gateway, error, sizeof error) != GANTRY_OK) Library::fail(error);
    library->host_ready(gateway);

    pool = new DcmSCPPool<StorageSCP>;
    configure(pool->getConfig(), static_cast<unsigned short>(std::atoi(arguments[3])));
    pool->setMaxThreads(16);
    std::thread listener([] { pool->listen(); });
    std::thread control(serveControl, listenOnLoopback(static_cast<unsigned short>(std::atoi(arguments[4]))));
    control.detach();
    std::fprintf(stderr, "info archive is ready\n");

    int signal = 0;
    sigwait(&endings, &signal);
    pool->stopAfterCurrentAssociations();
    listener.join();
    library->close(gateway, 5000);
    return 0;
}
