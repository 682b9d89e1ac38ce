// SPDX-License-Identifier: Apache-2.0
plugins {
    id("com.android.library") version "8.7.3"
    id("org.jetbrains.kotlin.android") version "2.0.21"
}

// The model's tokenizer is made of nodes of onnxruntime-extensions; raise both versions together.
val onnxruntimeVersion = "1.22.0"
val extensionsVersion = "0.13.0"

android {
    namespace = "{{ package }}"
    compileSdk = 35
    defaultConfig {
        minSdk = 24
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    kotlinOptions { jvmTarget = "17" }
    // Uncompressed, so that the system can map the model out of the app's archive.
    androidResources { noCompress += "onnx" }
    sourceSets["main"].assets.srcDir(layout.buildDirectory.dir("bundle/main").get().asFile)
    sourceSets["androidTest"].assets.srcDir(layout.buildDirectory.dir("bundle/androidTest").get().asFile)
}

val copyModel by tasks.registering(Copy::class) {
    from("..") { include("{{ model_file }}") }
    into(layout.buildDirectory.dir("bundle/main"))
}
val copyGoldenVectors by tasks.registering(Copy::class) {
    from("..") { include("{{ golden_file }}") }
    into(layout.buildDirectory.dir("bundle/androidTest"))
}
tasks.named("preBuild") { dependsOn(copyModel, copyGoldenVectors) }

dependencies {
    implementation("com.microsoft.onnxruntime:onnxruntime-android:$onnxruntimeVersion")
    implementation("com.microsoft.onnxruntime:onnxruntime-extensions-android:$extensionsVersion")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
    androidTestImplementation("androidx.test:runner:1.6.2")
}
